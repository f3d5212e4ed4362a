"""What the commands of igsearch.py do: the only place that knows bots, indexer and core alike."""
