"""Exit codes of the commands."""

FINISHED, FAILED, INVALID, STOPPED = 0, 1, 2, 130
