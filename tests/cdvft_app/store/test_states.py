"""Which state may follow which, as the lives of runs tell it; and what a change of state writes."""

from __future__ import annotations

from typing import get_args

import pytest
from stored_runs import done

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
    "queued preparing failed",
    "queued preparing interrupted",
    "queued preparing finished",
    "queued stopped queued preparing running",
    "queued stopped preparing running",  # a terminal does not queue
    "queued preparing failed queued",
    "queued preparing failed preparing",
    "queued preparing interrupted queued",
    "queued preparing interrupted preparing",
]
NEVER = [
    ("queued", "running"),  # nobody has taken it
    ("queued", "stopping"),  # what waits stops at once
    ("queued", "finished"),
    ("queued", "failed"),
    ("queued", "interrupted"),
    ("preparing", "queued"),
    ("running", "queued"),
    ("running", "preparing"),
    ("stopping", "queued"),
    ("stopping", "preparing"),
    ("stopping", "running"),  # a wish to stop is not taken back
    *(("finished", after) for after in ("queued", "preparing", "running", "stopping", *ENDS)),
    *((before, after) for before in ENDS for after in ("running", "stopping", "finished", before)),
    ("stopped", "failed"),
    ("stopped", "interrupted"),
    ("failed", "stopped"),
    ("failed", "interrupted"),
    ("interrupted", "stopped"),
    ("interrupted", "failed"),
]


def lead(store, run_id, *steps):
    for state in steps:
        store.set_state(run_id, state)
    return store.get(run_id)


@pytest.mark.parametrize("life", LIVES)
def test_a_life_that_may_be(store, run_id, life):
    first, *rest = life.split()
    assert store.state(run_id) == first
    for state in rest:
        assert lead(store, run_id, state).state == state


@pytest.mark.parametrize(("before", "after"), sorted(set(NEVER)))
def test_a_change_that_may_not_be(store, run_id, before, after):
    to = {"queued": [], "preparing": ["preparing"], "running": ["preparing", "running"]}
    lead(store, run_id, *to.get(before, ["preparing", "running", before]))
    with pytest.raises(IllegalTransition, match=f"This run is {before}; it can become .*, not {after}"):
        store.set_state(run_id, after)
    assert store.state(run_id) == before


def test_every_state_that_a_run_can_have_stands_in_the_table_and_in_queries():
    assert {*get_args(states.RunState)} == {*states.STATES}
    assert {*states.FINAL} == {*ENDS} and {*states.FINAL} | {*states.UNFINISHED} == {*states.STATES}
    assert states.sql(states.STOPPABLE) == "('preparing', 'running')"
    assert set(states.USABLE) == {"finished", "stopped"} and set(states.SETTLED) == {"finished", "failed"}


def test_every_pair_of_states_is_in_one_list_or_the_other():
    every = {"queued", "preparing", "running", "stopping", *ENDS}
    told = {pair for life in LIVES for pair in zip(life.split(), life.split()[1:], strict=False)}
    open_ends = {(before, before) for before in ("queued", "preparing", "running", "stopping")}
    assert set(NEVER).isdisjoint(told)
    assert {(a, b) for a in every for b in every} == told | set(NEVER) | open_ends


@pytest.mark.parametrize("state", ["queued", "preparing", "running", "stopping"])
def test_a_live_run_does_not_become_what_it_is(store, run_id, state):
    path = {"queued": [], "preparing": ["preparing"], "running": ["preparing", "running"]}
    lead(store, run_id, *path.get(state, ["preparing", "running", "stopping"]))
    with pytest.raises(IllegalTransition):
        store.set_state(run_id, state)


def test_a_finished_run_can_become_nothing_else(store, run_id):
    lead(store, run_id, "preparing", "running", "finished")
    with pytest.raises(IllegalTransition, match="can become nothing else"):
        store.set_state(run_id, "queued")


@pytest.mark.parametrize("end", ["stopped", "failed", "interrupted"])
def test_what_was_cut_short_can_be_resumed(store, run_id, end):
    lead(store, run_id, "preparing", "running", end).require_resumable()


@pytest.mark.parametrize("path", [[], ["preparing"], ["preparing", "running"], ["preparing", "finished"]])
def test_what_runs_or_is_complete_cannot_be_resumed(store, run_id, path):
    run = lead(store, run_id, *path)
    with pytest.raises(
        IllegalTransition, match=f"“first” is {run.state}; only a run that is stopped or .* can be resumed"
    ):
        run.require_resumable()


def test_a_run_that_ends_keeps_when_and_why(store, run_id):
    store.set_state(run_id, "preparing", process="1:2")
    begun = store.get(run_id)
    assert begun.process == "1:2" and begun.created <= begun.started and begun.ended is None
    store.set_state(run_id, "failed", "The disk is full.")
    ended = store.get(run_id)
    assert ended.reason == "The disk is full." and ended.started == begun.started <= ended.ended


def test_a_run_that_waits_again_has_no_end_no_reason_and_nobody_who_trains_it(store, run_id):
    store.set_state(run_id, "preparing", process="1:2")
    store.set_state(run_id, "failed", "The disk is full.")
    first = store.get(run_id)
    again = lead(store, run_id, "queued")
    assert (again.ended, again.reason, again.process) == (None, None, None)
    assert again.started == first.started
    store.set_state(run_id, "preparing", process="3:4")
    taken = store.get(run_id)
    assert taken.process == "3:4" and taken.ended is None and taken.started >= first.ended


def test_a_run_that_goes_on_has_no_last_row_any_more(store, run_id):
    lead(store, run_id, "preparing", "running")
    store.append(run_id, done("stopped"))
    assert [row["kind"] for row in store.rows(run_id)[0]] == ["done"]
    lead(store, run_id, "queued")
    assert store.rows(run_id)[0] == []


def test_a_terminal_that_takes_up_an_ended_run_clears_its_end(store, run_id):
    lead(store, run_id, "preparing", "interrupted")
    store.set_state(run_id, "preparing", process="5:6")
    taken = store.get(run_id)
    assert (taken.ended, taken.reason, taken.process) == (None, None, "5:6")
