"""A page about a training, made of what lies in the folder of its run."""
