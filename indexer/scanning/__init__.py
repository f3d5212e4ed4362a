"""The scan of accounts: list their files, reconcile each with the record, write in batches, remove missing ones."""
