"""What `igsearch doctor` looks at; igsearch.py runs the checks."""
