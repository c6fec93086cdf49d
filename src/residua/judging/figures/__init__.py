"""Figures from what a network said and what is true: numbers from numbers."""
