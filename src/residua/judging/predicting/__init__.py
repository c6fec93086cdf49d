"""Prediction: of arrays, and of files as a stream."""
