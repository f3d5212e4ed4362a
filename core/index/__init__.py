"""In-memory indexes of fingerprints, with snapshots on disk."""
