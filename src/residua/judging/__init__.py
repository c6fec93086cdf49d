"""Judging: what a network is worth, over every sample."""

BATCH = 64  # pictures at a time
SHOWN = 20  # mistakes and the like that are listed
