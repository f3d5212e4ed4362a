"""Processes that read pictures, each of which may die, and what they do with one picture."""
