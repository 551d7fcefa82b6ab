"""What the lessons measure or really run on this machine."""
