"""The values of igsearch, as frozen dataclasses."""
