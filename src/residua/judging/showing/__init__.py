"""Pictures shown to a network: which, as which classes, and in which views."""
