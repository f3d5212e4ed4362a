"""The indexer: keeps the record in line with the dataset folder."""
