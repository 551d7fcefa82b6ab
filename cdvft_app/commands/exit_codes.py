"""What a command returns to the shell."""

FINISHED, FAILED, INVALID, STOPPED = 0, 1, 2, 130
