"""Runs that train on the nodes of a Ray cluster. The page imports no Ray: its child does, `connection`."""
