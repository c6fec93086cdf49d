"""Networks: from a description to a module, its counts and its picture."""
