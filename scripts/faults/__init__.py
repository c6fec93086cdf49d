"""Faults that a training must survive: each injected into real processes, and what came of it compared."""
