"""Training: a network taught from labelled pictures, and nothing lost on the way."""
