"""Measurements and trials of the whole program: quality, speed, soak; each script runs alone."""
