"""What a visitor may take of a public server, by a clock of the test's own."""

from __future__ import annotations

import json

import pytest
from clocks import set_clock

from cdvft_app.commands import train as commands
from cdvft_app.public import budget
from cdvft_app.public.budget import Budget, OverBudget
from cdvft_app.settings import RunSettings
from cdvft_app.store import leases, processes, queue, runs
from cdvft_app.store.owners import token_hash
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore
from cdvft_app.training.executors import Executor
from cdvft_app.training.queue import QueueFull, RunQueue

RUN = RunSettings(method="lora")
HOUR = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


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
def store(tmp_path, clock):
    made = RunStore(tmp_path)
    yield made
    made.close()


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
    assert Budget(store, clock).balance("bob").left == 600


def test_a_restart_and_a_deletion_give_nothing_back(store, clock, tmp_path):
    store.remove(train(store, clock, 200).id)
    store.close()
    again = RunStore(tmp_path)
    assert Budget(again, clock).balance("ada").left == 400
    again.close()


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


def test_a_program_that_died_is_charged_until_its_lease_ended(store, clock):
    train(store, clock, 100, state=None)
    clock.now += 5 * HOUR
    with store.leases._database.writing() as connection:
        connection.execute("UPDATE runs SET process = 'elsewhere 1 1'")
    store.leases.expire()
    assert 100 <= 600 - Budget(store, clock).balance("ada").left <= 100 + leases.LEASE_SECONDS


def test_a_race_must_fit_beside_what_waits(store, clock):
    queue = RunQueue(store)
    queue.budget = Budget(store, clock)
    queue.submit([RUN], "t", forecasts=[forecast(400)], visitor="ada")
    with pytest.raises(
        OverBudget, match=r"takes about 5 min.*10 min of your 10 min.*waiting takes about 7 min"
    ):
        queue.submit([RUN], "other token", forecasts=[forecast(300)], visitor="ada")
    queue.submit([RUN], "t", forecasts=[forecast(300)], visitor="bob")
    queue.submit([RUN], "t", forecasts=[forecast(10_000)])  # of nobody: not a public visit
    assert len(store.history()) == 3


def test_all_that_is_left_can_be_asked_for_and_where_all_waits_no_smaller_run_helps(store, clock):
    queue = RunQueue(store)
    queue.budget = budget = Budget(store, clock)
    assert (budget.left("ada"), budget.left(None)) == (600, None)
    queue.submit([RUN], "t", forecasts=[forecast(200)], visitor="ada")
    budget.require("ada", 400)
    with pytest.raises(OverBudget, match="Lower the epochs"):
        budget.require("ada", 401)
    queue.submit([RUN], "t", forecasts=[forecast(400)], visitor="ada")
    with pytest.raises(OverBudget) as refused:
        budget.require("ada", 10)
    assert "Lower the epochs" not in str(refused.value)


def test_nothing_more_is_begun_when_all_is_taken(store, clock):
    queue = RunQueue(store)
    queue.budget = Budget(store, clock)
    run = train(store, clock, 600, "failed")
    for ask in (
        lambda: queue.submit([RUN], "t", visitor="ada"),
        lambda: queue.submit([RUN], "t", visitor="ada", sweep=True),
        lambda: queue.resume(run.id, "t", "ada"),
        lambda: queue.budget.spending("ada", "fit").__enter__(),
    ):
        with pytest.raises(
            OverBudget, match=r"^0 s of your 10 min of this server are left. More comes back in 10 h"
        ):
            ask()
    assert queue._limit(run) == 0
    clock.now += 10 * HOUR
    queue.resume(run.id, "t", "ada")


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


def brought(store, count, **facts):
    """Interrupted runs of many steps, as a history's file brings them: the ids."""
    values = {"group_id": "g" * 32, "name": "brought", "method": "lora", "state": "interrupted",
              "created": 1.0, "settings": RUN.model_copy(update={"max_steps": 100_000}).model_dump_json(),
              "queued": 1.0, "token_hash": token_hash("t")}  # fmt: skip
    for number in range(count):
        folder = store.folders.path / f"{number:032x}"
        folder.mkdir()
        text = json.dumps(values | facts | {"id": folder.name, "position": number})
        (folder / "run.json").write_text(text)
    return store.folders.adopt()


def test_whoever_resumes_brought_runs_pays_and_waits_for_a_turn(store, clock, monkeypatch):
    monkeypatch.setenv("CDVFT_BUDGET_SECONDS", "60")
    executor = ByClock(clock)
    queue = RunQueue(store, executor=executor)
    queue.budget = Budget(store, clock)
    ids = brought(store, 12)
    for run_id in ids:
        queue.resume(run_id, "t", "ada")
    assert {store.get(run_id).visitor for run_id in ids} == {"ada"}
    (other,) = queue.submit([RUN], "else", visitor="bob")
    assert store.queue_place(other) <= 2, "the second turn is another visitor's"
    while (run := store.leases.next(this_process())) is not None:
        queue._run(run)
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
    monkeypatch.setattr(commands, "_run", lambda take, as_json, cluster: taken.append(take(store)))
    commands.resume(run.id)
    assert taken[0].id == run.id and taken[0].visitor is None
    clock.now += 100
    store.set_state(run.id, "failed")
    assert Budget(store, clock).balance("ada").left == 590


def test_a_visitor_that_a_strangers_file_names_is_not_charged(store, clock):
    (run_id,) = brought(store, 1, visitor="bob")
    RunQueue(store).resume(run_id, "t", "ada")
    assert store.get(run_id).visitor == "ada"


def test_a_run_may_take_what_its_visitor_has_left(store, clock, monkeypatch):
    queue = RunQueue(store)
    queue.budget = Budget(store, clock)
    run = train(store, clock, 450)
    assert queue._limit(run) == 150
    queue.max_seconds = 100
    assert queue._limit(run) == 100


def test_fits_and_measurements_are_counted_one_at_a_time(store, clock):
    budget = Budget(store, clock)
    with budget.spending("ada", "fit"):
        clock.now += 60
        with pytest.raises(OverBudget, match="one at a time"), budget.spending("ada", "fit"):
            pass
        with budget.spending("bob", "fit"), budget.spending("ada", "measurement"):
            clock.now += 5
    assert (budget.balance("ada").left, budget.balance("bob").left) == (600 - 65 - 5, 595)
    assert [(one.visitor, one.seconds, one.training, one.runs) for one in store.spending.visitors(0)] == [
        ("ada", 70, 0, 0),
        ("bob", 5, 0, 0),
    ]


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
