"""Scan accounts: list their files, reconcile each with the record, write in batches, remove what is gone."""
