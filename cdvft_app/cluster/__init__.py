"""Runs that train on the nodes of a Ray cluster; a child process alone imports Ray, in `connection`."""
