"""Checking: every picture decoded, and what is wrong or unusual said to people and machines."""
