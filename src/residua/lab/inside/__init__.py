"""Measurements inside a network, as pure functions: the network is left as it was."""
