"""What a visitor may take of a public server, by a clock of the test's own."""

from __future__ import annotations

import pytest
from clocks import Clock, set_clock
from in_process import spent

from cdvft_app.executors.queue import QueueFull, RunQueue
from cdvft_app.public import budget
from cdvft_app.public.budget import Budget, OverBudget
from cdvft_app.settings import RunSettings
from cdvft_app.store import leases, processes, queue, runs
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore

RUN = RunSettings(method="lora")
HOUR = 3600.0


@pytest.fixture
def clock(monkeypatch):
    """A public server with 600 seconds a visitor in ten hours."""
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("CDVFT_BUDGET_SECONDS", "600")
    monkeypatch.setenv("CDVFT_BUDGET_HOURS", "10")
    made = Clock()
    set_clock(monkeypatch, (budget, leases, processes, queue, runs), time=made, monotonic=made)
    return made


@pytest.fixture
def line(store, clock):
    """The queue, which keeps to the budget."""
    made = RunQueue(store)
    made.budget = Budget(store, clock)
    return made


def left(store, clock, visitor="ada"):
    return Budget(store, clock).balance(visitor).left


def forecast(seconds):
    return {"whole_seconds": {"low": seconds / 2, "value": seconds, "high": 2 * seconds}}


def train(store, clock, seconds, state="finished", visitor="ada"):
    """A run of the visitor that takes so long; its lease is renewed as by a living program."""
    (made,) = store.create([RUN], "t", visitor=visitor)
    run = store.leases.acquire(made.id, this_process())
    store.set_state(run.id, "running")
    for _ in range(int(seconds)):
        clock.now += 1
        if clock.now % 5 == 0:
            store.leases.renew(run.id, run.epoch)
    if state:
        store.set_state(run.id, state)
    return run


@pytest.mark.parametrize("state", ["finished", "stopped", "failed", "interrupted"])
def test_a_run_takes_the_seconds_it_took_however_it_ended(store, clock, state):
    train(store, clock, 200, state)
    balance = Budget(store, clock).balance("ada")
    assert (balance.left, balance.whole, balance.renews) == (400, 600, 10 * HOUR)
    assert left(store, clock, "bob") == 600


def test_a_restart_and_a_deletion_give_nothing_back(store, clock, tmp_path):
    store.remove(train(store, clock, 200).id)
    store.close()
    assert left(RunStore(tmp_path), clock) == 400


def test_a_race_must_fit_beside_what_waits(store, line):
    line.submit([RUN], "t", forecasts=[forecast(400)], visitor="ada")
    why = r"takes about 5 min.*10 min of your 10 min.*waiting takes about 7 min"
    with pytest.raises(OverBudget, match=why):
        line.submit([RUN], "other token", forecasts=[forecast(300)], visitor="ada")
    line.submit([RUN], "t", forecasts=[forecast(300)], visitor="bob")
    line.submit([RUN], "t", forecasts=[forecast(10_000)])  # of nobody: not a public visit
    assert len(store.history()) == 3


def test_nothing_more_is_begun_when_all_is_taken(store, clock, line):
    run = train(store, clock, 600, "failed")
    nothing_left = r"^0 s of your 10 min of this server are left\. More comes back in 10 h"
    for ask in (
        lambda: line.submit([RUN], "t", visitor="ada"),
        lambda: line.submit([RUN], "t", visitor="ada", sweep=True),
        lambda: line.resume(run.id, "t", "ada"),
        lambda: line.budget.spending("ada", "fit").__enter__(),
    ):
        with pytest.raises(OverBudget, match=nothing_left):
            ask()
    assert line._limit(run) == 0
    clock.now += 10 * HOUR
    line.resume(run.id, "t", "ada")


def test_fits_and_measurements_are_counted_one_at_a_time(store, clock):
    budget = Budget(store, clock)
    with budget.spending("ada", "fit"):
        clock.now += 60
        with pytest.raises(OverBudget, match="one at a time"), budget.spending("ada", "fit"):
            pass
        with budget.spending("bob", "fit"), budget.spending("ada", "measurement"):
            clock.now += 5
    assert (budget.balance("ada").left, budget.balance("bob").left) == (600 - 65 - 5, 595)
    assert spent(store, "ada") == 70 and spent(store, "bob") == 5


def test_new_tokens_make_no_new_visitor(store, clock, monkeypatch):
    monkeypatch.setenv("CDVFT_MAX_QUEUED_PER_OWNER", "3")
    monkeypatch.setenv("CDVFT_MAX_SWEEP_RUNS", "6")
    queue = RunQueue(store)
    for number in range(3):
        queue.submit([RUN], f"token {number}", visitor="ada", program=True)
    with pytest.raises(QueueFull, match="3 runs of yours"):
        queue.submit([RUN], "one more", visitor="ada", program=True)
    queue.submit([RUN] * 3, "x", visitor="ada", sweep=True)
    with pytest.raises(QueueFull, match="of your sweeps"):
        queue.submit([RUN], "y", visitor="ada", sweep=True)
    queue.submit([RUN] * 3, "x", visitor="bob", sweep=True)
