"""The command line. Exit codes of the commands stand here, where they cost no import."""

FINISHED, FAILED, INVALID, STOPPED = 0, 1, 2, 130
