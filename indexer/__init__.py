"""Keeping the record true to the disk: list the dataset, compare it with the store, fingerprint what is new."""
