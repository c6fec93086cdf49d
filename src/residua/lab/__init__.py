"""The lab: what happens inside the papers' networks, measured."""
