"""What things cost: time, memory and disk."""
