"""A training step's time and memory, measured on this machine."""
