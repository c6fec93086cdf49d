"""Checking: every picture decoded, and what is wrong or unusual said to people and machines."""

MAX_BAD = 0.1  # the share of pictures that may be unreadable
