"""The pictures of chats in the documentation."""
