"""Carry out `igsearch doctor`: check the machine, the dataset, the database and the settings, and say what to fix."""
