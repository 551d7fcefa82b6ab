"""Which state may follow which, as the lives of runs tell it; and what a change of state writes."""

import itertools

import pytest

from cdvft_app.store import states
from cdvft_app.store.records import IllegalTransition

ENDS = ("finished", "stopped", "failed", "interrupted")
LIVES = [
    "queued preparing running finished",
    "queued preparing running stopping stopped",
    "queued preparing running stopping finished",  # it was faster than the wish to stop
    "queued preparing running stopping failed",
    "queued preparing running stopping interrupted",
    "queued preparing running stopped",
    "queued preparing running failed",
    "queued preparing running interrupted",
    "queued preparing stopping stopped",
    "queued preparing stopped",
    "queued preparing finished",
    "queued stopped queued preparing running",
    "queued stopped preparing running",  # a terminal does not queue
    "queued preparing failed queued",
    "queued preparing failed preparing",
    "queued preparing interrupted queued",
    "queued preparing interrupted preparing",
]
MAY_BE = {pair for life in LIVES for pair in itertools.pairwise(life.split())}


def lead(store, run_id, *steps):
    for state in steps:
        store.set_state(run_id, state)
    return store.get(run_id)


@pytest.mark.parametrize("before", states.STATES)
def test_no_other_change_may_be(store, run_id, before):
    to = {"queued": [], "preparing": ["preparing"], "running": ["preparing", "running"]}
    lead(store, run_id, *to.get(before, ["preparing", "running", before]))
    for after in {*states.STATES} - {one for this, one in MAY_BE if this == before}:
        with pytest.raises(IllegalTransition, match=f"is {before};.*not {after}"):
            store.set_state(run_id, after)
        assert store.state(run_id) == before


def test_a_run_that_ends_keeps_when_and_why_until_it_waits_or_goes_on_again(store, run_id):
    store.set_state(run_id, "preparing", process="1:2")
    begun = store.get(run_id)
    assert begun.process == "1:2" and begun.created <= begun.started and begun.ended is None
    store.set_state(run_id, "failed", "The disk is full.")
    ended = store.get(run_id)
    assert ended.reason == "The disk is full." and ended.started == begun.started <= ended.ended
    again = lead(store, run_id, "queued")
    assert (again.ended, again.reason, again.process, again.started) == (None, None, None, ended.started)
    store.set_state(run_id, "preparing", process="3:4")
    taken = store.get(run_id)
    assert taken.process == "3:4" and taken.ended is None and taken.started >= ended.ended
    store.set_state(run_id, "interrupted")
    store.set_state(run_id, "preparing", process="5:6")  # a terminal does not queue it
    taken = store.get(run_id)
    assert (taken.ended, taken.reason, taken.process) == (None, None, "5:6")
