"""Whether the program holds under load, over hours, and while parts of it fail."""
