"""Comparing methods by their runs and costs: which is ahead, by how much, how surely, in sentences."""
