"""Work that one visitor at a time may ask of this process."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager


class Busy(Exception):
    """Somebody else's turn is not over; the text is a sentence for the person who asked."""


class Turn:
    """At most one caller at a time; `busy` is what the others are told."""

    def __init__(self, busy: str) -> None:
        self._busy = busy
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._free.put(None)

    @contextmanager
    def taken(self, patience: float) -> Iterator[None]:
        """Hold the turn, for which it waits up to `patience` seconds.

        Raises:
            Busy: another caller held it for all that time.
        """
        try:
            self._free.get(timeout=patience)
        except queue.Empty:
            raise Busy(self._busy) from None
        try:
            yield
        finally:
            self._free.put(None)
