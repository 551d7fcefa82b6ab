"""Whom a private or hidden run is shown to."""

from __future__ import annotations

import pytest
from stored_runs import LORA, OWN_ROWS

from cdvft_app.store.owners import Viewer, token_hash
from cdvft_app.store.records import NotOwner, StoreError
from cdvft_app.store.runs import RunStore


def seen(store: RunStore, token: str | None) -> RunStore:
    return store.seen_by(lambda: Viewer(token and token_hash(token), name=lambda run: "a race"))


def everywhere(store: RunStore, run_id: str, group_id: str) -> list[bool]:
    """Whether each way of finding a run finds this one."""
    groups = store.groups(10)
    return [
        store.get(run_id) is not None,
        bool(store.group(group_id)),
        run_id in {run.id for run in store.history()},
        run_id in {run.id for run in store.finished()},
        run_id in {run.id for group in groups for run in group},
    ]


@pytest.fixture
def mine(store):
    """A finished run of mine, which is private, between two open ones of others."""
    store.create([LORA], "theirs", "their name")
    (run,) = store.create([LORA], "mine", "my name", private=True)
    store.create([LORA], None, "from a terminal")
    for state in ("preparing", "running", "finished"):
        store.set_state(run.id, state)
    return run


@pytest.mark.parametrize(("token", "sees"), [("mine", True), ("theirs", False), (None, False)])
def test_a_private_run_is_its_owners_alone(store, mine, token, sees):
    assert everywhere(seen(store, token), mine.id, mine.group_id) == [sees] * 5
    assert len(seen(store, token).history()) == 2 + sees
    assert everywhere(store, mine.id, mine.group_id) == [True] * 5


def test_it_can_be_opened_and_closed_by_its_owner_alone(store, mine):
    with pytest.raises(NotOwner):
        store.set_private(mine.id, False, "theirs")
    assert seen(store, "theirs").get(mine.id) is None
    store.set_private(mine.id, False, "mine")
    assert everywhere(seen(store, "theirs"), mine.id, mine.group_id) == [True] * 5
    store.hide(mine.id, True)
    assert everywhere(seen(store, "theirs"), mine.id, mine.group_id) == [False] * 5
    assert everywhere(seen(store, "mine"), mine.id, mine.group_id) == [True] * 5


def test_on_data_of_ones_own_it_stays_private_though_its_owner_asks(store):
    (run,) = store.create([LORA.model_copy(update={"data": OWN_ROWS})], "mine", private=True)
    with pytest.raises(StoreError, match=r"stays private: who sees it can read and take its rows\."):
        store.set_private(run.id, False, "mine")
    assert seen(store, "theirs").get(run.id) is None
