"""What the operator of a server may do: to anybody's runs, with the key or from a terminal."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass

from cdvft_app.public.guessing import Guesses
from cdvft_app.public.visitors import network
from cdvft_app.settings.environment import environment
from cdvft_app.store.owners import EVERYTHING
from cdvft_app.store.queue import Spent
from cdvft_app.store.records import IllegalTransition, RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import UNFINISHED

LATEST = 30


_guesses = Guesses("keys")


def is_operator(key: object, address: str) -> bool:
    """Return whether this is CDVFT_OPERATOR_KEY; never without one. Compares in constant time.

    Raises:
        TooManyGuesses: too many wrong ones came from this address, or from all.
    """
    operator_key = environment().operator_key.get_secret_value()
    if not operator_key or not isinstance(key, str):
        return False
    sent = key.encode("utf-8", "surrogatepass")
    return _guesses.judge(network(address), key, lambda: hmac.compare_digest(sent, operator_key.encode()))


@dataclass(frozen=True)
class Operator:
    """What the operator sees; `store` finds and changes everybody's runs."""

    store: RunStore

    @classmethod
    def of(cls, store: RunStore) -> Operator:
        return cls(store.seen_by(lambda: EVERYTHING))

    def visitors(self) -> list[Spent]:
        """Return who took time of this server within the hours of a budget, who took most first."""
        return self.store.spending.visitors(time.time() - 3600 * environment().budget_hours)

    def runs(self) -> list[RunRecord]:
        """Return all runs that wait or train, and the latest of the others, the latest first."""
        runs = self.store.history(None)
        ended = [run for run in runs if run.state not in UNFINISHED][:LATEST]
        return [run for run in runs if run.state in UNFINISHED or run in ended]

    def clear(self) -> int:
        """Stop all that waits, and return how many runs that were. What trains goes on."""
        waiting = [run.id for run in self.store.history(None) if run.state == "queued"]
        stopped = 0
        for run_id in waiting:
            try:
                self.store.ask_to_stop(run_id)
            except IllegalTransition:  # it has ended meanwhile
                continue
            stopped += 1
        return stopped
