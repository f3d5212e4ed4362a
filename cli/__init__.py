"""What each command of igsearch.py does: the one place that knows bots, indexer and core alike."""
