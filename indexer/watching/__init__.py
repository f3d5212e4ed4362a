"""Notice that something changed below the dataset: kernel events, and polling where there are none."""
