"""What several benchmarks share: the processes they drive, databases, pictures, and figures."""
