"""A process of a test's own, which tells what it has done for as long as it lives."""

from __future__ import annotations

import os
from collections.abc import Callable


def begin(act: Callable[[Callable[[str], object]], object]) -> tuple[int, int]:
    """Fork: the id of a process that acts with `say(line)`, and a file number where its lines are read."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # it never returns into the test
        try:
            os.close(read)
            act(lambda line: os.write(write, f"{line}\n".encode()))
        finally:
            os._exit(0)
    os.close(write)
    return child, read
