"""The pictures of a training: in batches, packed."""
