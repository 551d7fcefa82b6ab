"""Guesses at keys, codes and passwords are slowed down: each visitor's, and everybody's together.

What counts is a new wrong guess. Who gives the same again, right or wrong, learns nothing by it and is not
held up: whoever logged in before, or a page that sends an old code with every poll.
"""

from __future__ import annotations

import hmac
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from cdvft_app.errors import UserError

RATE_OF_ONE = "10/minute; 60/hour"
RATE_OF_ALL = "60/minute; 600/hour"  # of many addresses
MAX_REMEMBERED = 4096


class TooManyGuesses(UserError):
    """Nothing was compared; the text says how long to wait, `seconds` too."""

    def __init__(self, what: str, seconds: int) -> None:
        super().__init__(f"Too many wrong {what} were given here. Wait {seconds} s, then try again.")
        self.seconds = seconds


class Guesses:
    """Counts wrong guesses at one kind of secret, named `what` in the plural; limits are in the notation of
    package `limits`."""

    def __init__(self, what: str, by_visitor: str = RATE_OF_ONE, together: str = RATE_OF_ALL) -> None:
        self._what = what
        self._limits = [(one, True) for one in parse_many(by_visitor)]
        self._limits += [(one, False) for one in parse_many(together)]
        self._counts = MovingWindowRateLimiter(MemoryStorage())
        self._key = secrets.token_bytes(32)
        self._before: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()  # many guesses at once would all be compared before one is counted

    def judge(self, visitor: str, guess: str, is_right: Callable[[], bool]) -> bool:
        """Return what `is_right` says.

        Raises:
            TooManyGuesses: it was not asked, as this visitor, or all together, guessed wrong too often.
        """
        told = f"{visitor}\0{guess}".encode("utf-8", "surrogatepass")
        mark = hmac.digest(self._key, told, "sha256")
        with self._lock:
            if mark in self._before:
                self._before.move_to_end(mark)
                return is_right()
            waits = [self._wait(limit, visitor if own else "") for limit, own in self._limits]
            if any(waits):
                raise TooManyGuesses(self._what, max(waits))
            right = is_right()
            if not right:
                for limit, own in self._limits:
                    self._counts.hit(limit, visitor if own else "")
            self._before[mark] = None
            if len(self._before) > MAX_REMEMBERED:
                self._before.popitem(last=False)
            return right

    def _wait(self, limit: RateLimitItem, counted_for: str) -> int:
        """Return the seconds until one more guess is taken; 0: now."""
        if self._counts.test(limit, counted_for):
            return 0
        return max(1, math.ceil(self._counts.get_window_stats(limit, counted_for).reset_time - time.time()))
