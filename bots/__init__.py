"""The chat bots: a package for each chat, and what they alone share."""
