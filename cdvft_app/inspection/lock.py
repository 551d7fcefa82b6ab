"""A lock for work that this process does for one visitor at a time, with a message for the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cdvft_app.errors import TooManyRequests


class TimedLock:
    """At most one caller at a time; `busy` is the message for the others."""

    def __init__(self, busy: str) -> None:
        self._busy = busy
        self._lock = threading.Lock()

    @contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Hold the lock, for which it waits up to `timeout` seconds.

        Raises:
            TooManyRequests: another caller held it for all that time.
        """
        if not self._lock.acquire(timeout=timeout):
            raise TooManyRequests(self._busy)
        try:
            yield
        finally:
            self._lock.release()
