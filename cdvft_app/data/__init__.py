"""Data of one's own: read and checked, kept as Arrow, looked at, and turned into what a run learns from."""
