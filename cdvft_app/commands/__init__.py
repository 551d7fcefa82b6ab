"""The command line. Exit codes of the commands stand here, where they cost no import."""

FINISHED, FAILED, INVALID, STOPPED = 0, 1, 2, 130


def exit_code(state: str) -> int:
    """Return the exit code of a command whose run ended in this state."""
    return {"finished": FINISHED, "stopped": STOPPED}.get(state, FAILED)
