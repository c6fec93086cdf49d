"""Loading: batches for a network, the same whatever the number of workers."""
