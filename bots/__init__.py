"""The chat front ends: words and limits shared by all, one file a chat."""
