"""Looking into what runs have learned: their snapshots, numbers about each layer, and what layers receive."""
