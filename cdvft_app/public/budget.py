"""What each visitor of a public server may take of it: CDVFT_BUDGET_SECONDS in any CDVFT_BUDGET_HOURS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cdvft_app.format import exact_duration
from cdvft_app.settings.environment import environment
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore

NO_VISITOR = "This server counts its time by visitor, and for this run nobody's is: Resume counts yours."


class OverBudget(StoreError):
    """The visitor has no time left for it; the text says what is left, and when more is."""


@dataclass(frozen=True)
class Balance:
    """Seconds left of `whole`; `renews`: in how many some that are taken come back, None: none are."""

    left: float
    whole: float
    renews: float | None


class Budget:
    """Seconds by the store's count. Visitors are None on a server that is not public: all is allowed then."""

    def __init__(self, store: RunStore, clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = store, clock
        self._busy: set[tuple[str, str]] = set()  # its add and discard are atomic

    def balance(self, visitor: str) -> Balance:
        """Return the visitor's balance, with what its runs that train now have taken so far."""
        return self._balance(visitor, self._store.spending.running(visitor))

    def _balance(self, visitor: str, running: float) -> Balance:
        now, span = self._clock(), 3600 * environment().budget_hours
        taken = self._store.spending.since(visitor, now - span)
        left = environment().budget_seconds - running - sum(seconds for _, seconds in taken)
        return Balance(
            max(left, 0.0), environment().budget_seconds, taken[0][0] + span - now if taken else None
        )

    def exhausted(self, visitor: str | None) -> str | None:
        """Return why a run of the visitor does not begin now, in a sentence; None where it may.

        On a public server a run without a visitor, as of a time before, is nobody's to pay for.
        """
        if visitor is None:
            return NO_VISITOR if environment().public else None
        balance = self.balance(visitor)
        return None if balance.left > 0 else _refusal(balance, 0, 0)

    def left(self, visitor: str | None) -> float | None:
        """Return the seconds that all runs of the visitor together may take from now on; None: as many as
        they
        need."""
        return None if visitor is None else self.balance(visitor).left

    def require(self, visitor: str | None, seconds: float) -> None:
        """Raise `OverBudget` unless so many seconds are left beside what the visitor's other runs will
        take."""
        if visitor is None:
            return
        balance = self._balance(visitor, running=0)  # what runs take is among what was promised of them
        promised = self._store.spending.promised(visitor)
        if balance.left <= promised or seconds > balance.left - promised:
            raise OverBudget(_refusal(balance, promised, seconds))

    @contextmanager
    def spending(self, visitor: str | None, what: str) -> Iterator[Callable[[], None]]:
        """Charge the visitor for the time of this block; one such `what` at a time for each visitor.

        Yields a function to call when the work begins: the wait for others before that costs nothing.

        Raises:
            OverBudget: nothing is left, or the visitor does the same already.
        """
        if visitor is None:
            yield lambda: None
            return
        self.require(visitor, 0)
        mine = visitor, what
        if mine in self._busy:
            raise OverBudget(f"Your {what} is still going on here; one at a time. Wait for it, or cancel it.")
        self._busy.add(mine)
        began = time.monotonic()

        def waited() -> None:
            nonlocal began
            began = time.monotonic()

        try:
            yield waited
        finally:
            self._busy.discard(mine)
            self._store.spending.charge(visitor, what, time.monotonic() - began)


def _refusal(balance: Balance, promised: float, seconds: float) -> str:
    """Return sentences on the time asked for, what is left, what waits already, and what helps."""
    sentences = [
        f"{exact_duration(balance.left)} of your {exact_duration(balance.whole)} of this server are left."
    ]
    if seconds:
        sentences.insert(0, f"This takes about {exact_duration(seconds)}.")
    if promised:
        sentences.append(f"What you have waiting takes about {exact_duration(promised)} of it.")
    if seconds and balance.left > promised:
        sentences.append("Lower the epochs or the examples.")
    if balance.renews is not None:
        sentences.append(f"More comes back in {exact_duration(balance.renews)}.")
    return " ".join(sentences)
