"""Weights: the model file, and other libraries' weights in both directions."""
