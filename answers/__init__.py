"""What every front end shares: who may ask, how fast, in which order, and the words of an answer."""
