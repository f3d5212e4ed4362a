"""The pictures of indexed photos, for display."""
