"""Packing: pictures decoded once, in one file that is read without decoding."""
