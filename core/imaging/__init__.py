"""Bytes or a path to upright pixels, trusting nothing; and pictures drawn from pixels."""
