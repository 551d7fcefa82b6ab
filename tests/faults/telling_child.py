"""A process of a test's own, which tells what it has done for as long as it lives."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any


def begin(act: Callable[[Callable[..., None]], object]) -> tuple[int, int]:
    """Fork: the id of a process that acts with `say(what, **facts)`, and a file number where that is read, a
    line of JSON each."""
    read, write = os.pipe()
    child = os.fork()

    def say(what: str, **facts: Any) -> None:
        os.write(write, (json.dumps({"what": what, **facts}) + "\n").encode())

    if child == 0:  # it never returns into the test
        try:
            os.close(read)
            act(say)
        finally:
            os._exit(0)
    os.close(write)
    return child, read
