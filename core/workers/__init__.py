"""Worker processes that read pictures, and the tasks that they run."""
