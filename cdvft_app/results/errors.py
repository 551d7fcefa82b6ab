"""The error of everything that is asked of finished runs, and full disks."""

from __future__ import annotations

import errno


class ResultsError(Exception):
    """It cannot be done; the text is a sentence for the person who asked."""


def no_room(error: Exception) -> bool:
    """Whether a disk took nothing more; what is written in Rust says so in an error of its own."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or "os error 28" in str(error)
