"""From pixels to a fingerprint: the hashes of the whole picture, and its local features."""
