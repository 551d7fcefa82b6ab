"""What a visitor may take of a public server, by a clock of the test's own."""

from __future__ import annotations

import pytest
from clocks import Clock, set_clock

from cdvft_app.commands import train as commands
from cdvft_app.public import budget
from cdvft_app.public.budget import Budget, OverBudget
from cdvft_app.settings import RunSettings
from cdvft_app.store import leases, processes, queue, runs
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore
from cdvft_app.training.executors import Executor
from cdvft_app.training.queue import QueueFull, RunQueue

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


def test_it_comes_back_when_its_hours_are_over(store, clock):
    train(store, clock, 200)
    clock.now += 4 * HOUR
    train(store, clock, 100)
    budget = Budget(store, clock)
    assert (budget.balance("ada").left, budget.balance("ada").renews) == (300, 6 * HOUR - 100)
    clock.now += 6 * HOUR - 100
    assert (budget.balance("ada").left, budget.balance("ada").renews) == (500, 4 * HOUR + 100)
    clock.now += 4 * HOUR + 100
    assert (budget.balance("ada").left, budget.balance("ada").renews) == (600, None)


def test_what_trains_now_has_taken_its_seconds_already_and_is_refused_more_once_all_is_taken(store, clock):
    train(store, clock, 599, state=None)
    budget = Budget(store, clock)
    assert (left(store, clock), left(store, clock, "bob"), budget.exhausted("ada")) == (1, 600, None)
    clock.now += 2
    assert budget.exhausted("ada") == "0 s of your 10 min of this server are left."
    assert budget.exhausted("bob") is None


def test_a_run_of_nobody_begins_only_where_the_server_is_not_public(store, clock, monkeypatch):
    assert "visitor" in str(Budget(store, clock).exhausted(None))
    monkeypatch.delenv("CDVFT_PUBLIC")
    assert Budget(store, clock).exhausted(None) is None


def test_a_program_that_died_is_charged_until_its_lease_ended(store, clock, monkeypatch):
    train(store, clock, 100, state=None)
    clock.now += 5 * HOUR
    monkeypatch.setattr(processes, "alive", lambda name: None)  # as of one of another machine
    store.leases.expire()
    assert 100 <= 600 - left(store, clock) <= 100 + leases.LEASE_SECONDS


def test_a_race_must_fit_beside_what_waits(store, line):
    line.submit([RUN], "t", forecasts=[forecast(400)], visitor="ada")
    why = r"takes about 5 min.*10 min of your 10 min.*waiting takes about 7 min"
    with pytest.raises(OverBudget, match=why):
        line.submit([RUN], "other token", forecasts=[forecast(300)], visitor="ada")
    line.submit([RUN], "t", forecasts=[forecast(300)], visitor="bob")
    line.submit([RUN], "t", forecasts=[forecast(10_000)])  # of nobody: not a public visit
    assert len(store.history()) == 3


def test_all_that_is_left_can_be_asked_for_and_where_all_waits_no_smaller_run_helps(line):
    assert (line.budget.left("ada"), line.budget.left(None)) == (600, None)
    line.submit([RUN], "t", forecasts=[forecast(200)], visitor="ada")
    line.budget.require("ada", 400)
    with pytest.raises(OverBudget, match="Lower the epochs"):
        line.budget.require("ada", 401)
    line.submit([RUN], "t", forecasts=[forecast(400)], visitor="ada")
    with pytest.raises(OverBudget) as refused:
        line.budget.require("ada", 10)
    assert "Lower the epochs" not in str(refused.value)


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


class ByClock(Executor):
    """Trains by the test's clock, as long as it may, and says which runs it trained and for how long."""

    def __init__(self, clock):
        self.clock, self.trained = clock, []

    def start(self, store, run, limit=None):
        seconds = min(limit, 10_000)
        for _ in range(round(seconds)):
            self.clock.now += 1
            if self.clock.now % 5 == 0:
                store.leases.renew(run.id, run.epoch)
        self.trained.append((run.visitor, seconds))
        return self

    def poll(self, seconds):
        return True

    def reason(self):
        return "It took all that it may."


def interrupted(store, count, visitor):
    """The ids of interrupted runs of many steps."""
    runs = store.create([RUN.model_copy(update={"max_steps": 100_000})] * count, "t", visitor=visitor)
    for run in runs:
        store.leases.acquire(run.id, this_process())
        store.set_state(run.id, "interrupted")
    return [run.id for run in runs]


def test_whoever_resumes_brought_runs_pays_and_waits_for_a_turn(store, clock, line, monkeypatch):
    monkeypatch.setenv("CDVFT_BUDGET_SECONDS", "60")
    line.executor = executor = ByClock(clock)
    ids = interrupted(store, 12, visitor="carl")  # who is not charged
    for run_id in ids:
        line.resume(run_id, "t", "ada")
    assert {store.get(run_id).visitor for run_id in ids} == {"ada"}
    (other,) = line.submit([RUN], "else", visitor="bob")
    assert store.queue_place(other) <= 2, "the second turn is another visitor's"
    while (run := store.leases.next(this_process())) is not None:
        line._run(run)
    assert sum(seconds for visitor, seconds in executor.trained if visitor == "ada") <= 60
    assert sum(seconds for visitor, seconds in executor.trained if visitor == "bob") == 60
    reasons = {store.get(run_id).reason for run_id in ids[1:]}
    assert all("0 s of your 60 s of this server are left" in reason for reason in reasons)


def test_a_run_that_is_nobodys_does_not_train_on_a_public_server(store, clock, monkeypatch):
    executor = ByClock(clock)
    queue = RunQueue(store, executor=executor)
    (run,) = store.create([RUN], "t")
    queue._run(store.leases.next(this_process()))
    assert not executor.trained and store.state(run.id) == "interrupted"
    assert "Resume counts yours" in store.get(run.id).reason


def test_whoever_goes_on_from_a_terminal_spends_nobodys_time(store, clock, monkeypatch):
    run, taken = train(store, clock, 10, "interrupted"), []
    monkeypatch.setenv("RUNS_DIR", str(store.root))
    monkeypatch.setattr(commands, "_run", lambda take, as_json, cluster: taken.append(take(store)))
    commands.resume(run.id)
    assert taken[0].id == run.id and taken[0].visitor is None
    clock.now += 100
    store.set_state(run.id, "failed")
    assert left(store, clock) == 590


def test_a_run_may_take_what_its_visitor_has_left(store, clock, line):
    run = train(store, clock, 450)
    assert line._limit(run) == 150
    line.max_seconds = 100
    assert line._limit(run) == 100


def test_fits_and_measurements_are_counted_one_at_a_time(store, clock):
    budget = Budget(store, clock)
    with budget.spending("ada", "fit"):
        clock.now += 60
        with pytest.raises(OverBudget, match="one at a time"), budget.spending("ada", "fit"):
            pass
        with budget.spending("bob", "fit"), budget.spending("ada", "measurement"):
            clock.now += 5
    assert (budget.balance("ada").left, budget.balance("bob").left) == (600 - 65 - 5, 595)
    spent = [(one.visitor, one.seconds, one.training, one.runs) for one in store.spending.visitors(0)]
    assert spent == [("ada", 70, 0, 0), ("bob", 5, 0, 0)]


def test_waiting_for_others_costs_nothing(store, clock):
    budget = Budget(store, clock)
    with budget.spending("ada", "measurement") as waited:
        for _ in range(3):
            clock.now += 100
            waited()
        clock.now += 5
    assert budget.balance("ada").left == 595
    with budget.spending(None, "measurement") as waited:
        waited()


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
