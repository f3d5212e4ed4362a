"""Run the Telegram bot."""
