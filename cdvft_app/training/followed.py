"""How many runs on other machines are followed here at the same time."""

from __future__ import annotations

from collections.abc import Sequence

from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import ACTIVE

MOST = 16  # each costs a thread, and a question to the hub every few seconds
MAX_PER_OWNER = 8


class FollowedRuns:
    """Those that go on, by their owner; the caller has a lock."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._owners: dict[str, str] = {}  # by the run's id

    def refusal(self, wanted: int, owner: str) -> str | None:
        """Why so many more of the owner cannot be followed, in a sentence; None where they can."""
        self._owners = {one: of for one, of in self._owners.items() if self._store.state(one) in ACTIVE}
        mine = list(self._owners.values()).count(owner)
        for most, there, whose in ((MOST, len(self._owners), ""), (MAX_PER_OWNER, mine, " of yours")):
            if there + wanted > most:
                return (
                    f"{there} Jobs{whose} are followed here and at most {most} can be; {wanted} more do not "
                    "fit. Wait for some to end, or stop some."
                )
        return None

    def add(self, run_ids: Sequence[str], owner: str) -> None:
        self._owners |= dict.fromkeys(run_ids, owner)
