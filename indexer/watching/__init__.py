"""The detection of changes below the dataset: by kernel events, or by polling if there are none."""
