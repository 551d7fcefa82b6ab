"""What a finished run is good for: to be tried, proved, exported and shared."""
