"""Run the chat bots: a package for each chat, and the modules that only the chats share."""
