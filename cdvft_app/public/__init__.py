"""Public mode: what a server allows to visitors it does not know, and what its operator may do."""
