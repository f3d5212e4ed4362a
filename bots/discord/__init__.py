"""Run the Discord bot."""
