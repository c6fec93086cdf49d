"""Judging: what a network is worth, over every sample."""
