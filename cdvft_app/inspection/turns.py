"""A lock for work that this process does for one visitor at a time, with a message for the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cdvft_app.errors import UserError


class Busy(UserError):
    """Others' turns are not over; the text is a sentence for the person who asked."""


class Turn:
    """At most one caller at a time; `busy` is the message for the others."""

    def __init__(self, busy: str) -> None:
        self._busy = busy
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, patience: float) -> Iterator[None]:
        """Hold the turn, for which it waits up to `patience` seconds.

        Raises:
            Busy: another caller held it for all that time.
        """
        if not self._lock.acquire(timeout=patience):
            raise Busy(self._busy)
        try:
            yield
        finally:
            self._lock.release()
