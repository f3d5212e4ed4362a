"""`igsearch doctor`: what igsearch needs of the machine, the dataset and the database, and what to fix."""
