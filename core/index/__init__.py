"""In-memory search over fingerprints: add, discard, nearest, and a snapshot on disk."""
