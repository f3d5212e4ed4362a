"""The search for the accounts that posted a photo: from bytes to a result."""
