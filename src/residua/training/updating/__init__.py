"""What an update is made of."""
