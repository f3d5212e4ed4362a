"""The nouns of igsearch, as frozen values."""
