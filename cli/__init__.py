"""Carry out the commands of igsearch.py: the one package that knows bots, indexer and core."""
