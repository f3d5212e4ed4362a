"""The indexer: it keeps the record in line with the dataset folder."""
