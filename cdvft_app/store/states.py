"""The states of a run: which may follow which, and what each means.

Whatever needs to know more of a state than its name asks this table; the history's queries are made from it,
too. A new state is a name in `RunState` and a line in `STATES`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

RunState = Literal[
    "queued", "preparing", "running", "stopping", "finished", "stopped", "failed", "interrupted"
]


@dataclass(frozen=True)
class Meaning:
    """The properties of a run in a state.

    Args:
        next: the states that may follow.
        active: something trains it, under a lease.
        final: it has ended.
        usable: it has ended in order, and what it learned is kept.
        resumable: it ended early and can go on from its last checkpoint.
        settled: training it again would end the same way, so that a sweep leaves it.
    """

    next: tuple[RunState, ...]
    active: bool = False
    final: bool = False
    usable: bool = False
    resumable: bool = False
    settled: bool = False


_ENDS: tuple[RunState, ...] = ("finished", "stopped", "failed", "interrupted")
# A run that a terminal trains goes from an early end to `preparing` without waiting in the queue.
_AGAIN: tuple[RunState, ...] = ("queued", "preparing")
STATES: dict[RunState, Meaning] = {
    "queued": Meaning(("preparing", "stopped")),
    "preparing": Meaning(("running", "stopping", *_ENDS), active=True),
    "running": Meaning(("stopping", *_ENDS), active=True),
    "stopping": Meaning(_ENDS, active=True),
    "finished": Meaning((), final=True, usable=True, settled=True),
    "stopped": Meaning(_AGAIN, final=True, usable=True, resumable=True),
    "failed": Meaning(_AGAIN, final=True, resumable=True, settled=True),
    "interrupted": Meaning(_AGAIN, final=True, resumable=True),
}

ACTIVE = tuple(state for state, of in STATES.items() if of.active)
STOPPABLE = tuple(state for state in ACTIVE if "stopping" in STATES[state].next)
FINAL = tuple(state for state, of in STATES.items() if of.final)
UNFINISHED = tuple(state for state, of in STATES.items() if not of.final)
USABLE = tuple(state for state, of in STATES.items() if of.usable)
RESUMABLE = tuple(state for state, of in STATES.items() if of.resumable)
SETTLED = tuple(state for state, of in STATES.items() if of.settled)


def sql(states: Iterable[RunState]) -> str:
    """Return the states as a list of SQL: ('queued', 'preparing')."""
    return f"({', '.join(repr(state) for state in states)})"
