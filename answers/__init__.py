"""Answer the query photos of every front end: access, rate limits, the query queue, and replies in each language."""
