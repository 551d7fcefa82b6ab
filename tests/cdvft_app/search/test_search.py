"""Searches in a queue whose runs take milliseconds."""

from __future__ import annotations

import math
import os

import pytest
from in_process import InProcess
from searching import BEST_RATE, Trainer
from waiting import wait_for

from cdvft_app.catalog import get_recipe
from cdvft_app.executors.queue import RunQueue
from cdvft_app.public.budget import OverBudget
from cdvft_app.search import parse_search, results, study
from cdvft_app.settings import InvalidChoice, RunSettings
from cdvft_app.store.states import UNFINISHED
from cdvft_app.training.run import StopConditions, train_run

SEARCH = {"base": {"recipe": "sentiment", "methods": ["cdvft"]}, "trials": 12}
BOTH = {"recipe": "sentiment", "methods": ["cdvft", "lora"]}


@pytest.fixture
def trainer():
    return Trainer()


@pytest.fixture
def begin(store, trainer):
    """Starts a queue and a search; gives both."""
    queues = []

    def make(asked=SEARCH, start=True, **more):
        queue = RunQueue(store, 1, InProcess(trainer))
        queues.append(queue)
        if start:
            queue.start()
        return queue, queue.submit_search(parse_search(asked), "mine", "Search: films", **more)

    yield make
    for queue in queues:
        queue.close()


def ended(store, group_id, trials):
    def have_ended():
        runs = store.group(group_id)
        if len(runs) < trials or any(run.state in UNFINISHED for run in runs):
            return None
        found = study.load(store, group_id)
        told = [one.state for index in range(len(found.studies)) for one in found.trials(index)]
        return found if all(state.is_finished() for state in told) else None

    found = wait_for(have_ended, 30)
    assert len(store.group(group_id)) == trials
    return found


@pytest.fixture
def searched(begin, store):
    """`searched(12, rates=[1, 3])`: a search of so many trials, which have ended."""

    def make(count, **asked):
        _, group_id = begin(SEARCH | {"trials": count} | asked)
        return ended(store, group_id, count)

    return make


def test_it_finds_the_rate_and_looks_at_no_evaluation_row(searched, store, trainer):
    found = searched(12)
    rate = found.best(0).params["learning_rate"]
    assert abs(math.log10(rate / BEST_RATE)) < 0.15, "within a factor of 1.4 of the best there is"
    assert {one.evaluate_on for one in trainer.trained} == {"validation"}
    assert all(0.001 <= one.method.learning_rate <= 0.1 for one in trainer.trained)
    recorded = get_recipe("sentiment").learning_rates["cdvft"]
    assert recorded not in [one.method.learning_rate for one in trainer.trained]
    (best,) = study.best_runs(store, found)
    assert best.evaluate_on == "evaluation" and best.method.learning_rate == pytest.approx(rate, rel=0.01)


def test_every_method_has_the_same_budget_and_they_take_turns(searched, trainer):
    searched(8, base=BOTH, trials=4)
    assert [one.method.key for one in trainer.trained] == ["cdvft", "lora"] * 4


def test_what_is_behind_at_a_snapshot_is_given_up_and_said_so(begin, store):
    _, group_id = begin(SEARCH | {"rates": [0.01, 8]})
    found = ended(store, group_id, 12)
    stopped = [run for run in store.group(group_id) if run.state == "stopped"]
    assert stopped and all(5 <= run.step < 10 for run in stopped), "in the second half of its steps"
    notes = [row["text"] for row in store.rows(stopped[0].id, kinds=["note"])[0]]
    assert len(notes) == 1 and notes[0].startswith(f"Given up after step {stopped[0].step}: ")
    assert all(study.is_given_up(found, run.id) for run in stopped)
    (method,) = results.methods(store, found)
    assert sum("given up" in one["state"] for one in method["trials"]) == len(stopped)
    assert f"{len(stopped)} of them given up early" in method["sentences"][0]


def test_a_stopped_trial_is_waited_for_and_resumed(begin, store, trainer):
    queue, group_id = begin(SEARCH | {"trials": 5})

    def stop_third(number):
        if number == 3:
            (run,) = [run for run in store.group(group_id) if run.state in UNFINISHED]
            queue.stop(run.id, "mine")

    trainer.on_call = stop_third
    wait_for(lambda: [run.state for run in store.group(group_id)][2:] == ["stopped"], 20)
    assert study.advance(store, group_id) is None, "nobody proposes another trial meanwhile"
    assert len(store.group(group_id)) == 3
    trainer.on_call = lambda number: None
    stopped = store.group(group_id)[2]
    queue.resume(stopped.id, "mine")
    ended(store, group_id, 5)
    assert trainer.resumed == 1 and trainer.trained[2] == trainer.trained[3]


def test_a_search_goes_on_in_the_next_program(begin, store, trainer):
    """The program ends after a trial has ended, and before the next is queued."""
    queue, group_id = begin(SEARCH | {"trials": 4}, start=False)
    (run,) = store.group(group_id)
    run = store.leases.next("a program that is gone")
    train_run(store, run, trainer, StopConditions())
    assert [run.state for run in store.group(group_id)] == ["finished"]
    queue.start()
    ended(store, group_id, 4)
    assert len(trainer.trained) == 4


def test_the_same_seed_proposes_the_same_whoever_asks(searched, trainer):
    searched(6)
    searched(6)
    rates = [one.method.learning_rate for one in trainer.trained]
    assert rates[:6] == rates[6:] and len(set(rates[:4])) == 4


def test_a_trial_is_its_owners_and_a_deleted_one_no_obstacle(begin, store):
    queue, group_id = begin(SEARCH | {"trials": 3}, start=False)
    (run,) = store.group(group_id)
    store.remove(run.id)
    assert study.advance(store, group_id) is None
    journal = study.path(store, group_id)
    assert journal is not None, "a search that begins has no run for a moment"
    os.utime(journal, (0, 0))
    assert study.advance(store, group_id) is None and study.groups(store) == [], "gone with its last run"
    _, group_id = begin(SEARCH | {"trials": 3}, start=False)
    queue.start()
    ended(store, group_id, 3)
    assert all(store.owner(run.id, "mine") and run.sweep for run in store.group(group_id))


def test_on_a_public_server_all_trials_must_fit_into_the_budget(begin, store, monkeypatch):
    monkeypatch.setenv("CDVFT_BUDGET_SECONDS", "600")
    forecast = {"whole_seconds": {"value": 100.0, "low": 90.0, "high": 110.0}}
    with pytest.raises(OverBudget, match="This takes about 20 min"):
        begin(visitor="ada", forecasts=[forecast], start=False)
    assert store.history() == []
    queue, group_id = begin(SEARCH | {"trials": 5}, visitor="ada", forecasts=[forecast], start=False)
    store.spending.charge("ada", "training", 600)
    queue.start()
    wait_for(lambda: [run.state for run in store.group(group_id)] == ["interrupted"])
    assert study.advance(store, group_id) is None, "no further trial begins without seconds to spend"


def test_a_damaged_journal_is_a_sentence_and_stops_no_other_run(begin, store):
    queue, group_id = begin(SEARCH | {"trials": 2}, start=False)
    study.path(store, group_id).write_text("no journal\nat all\n")
    queue.start()
    wait_for(lambda: [run.state for run in store.group(group_id)] == ["finished"])
    (run,) = queue.submit([RunSettings(method={"method": "cdvft", "learning_rate": 0.01})], "mine")
    wait_for(lambda: store.state(run) == "finished", 10)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"rates": [1]}, "Rates are the lowest and the highest multiple"),
        ({"rates": [3, 1]}, "Rates are the lowest and the highest multiple"),
        ({"rates": [1, 1.001]}, "Two of the rates are the same"),
        ({"rates": [1, 3, 1.0001], "grid": True}, "Two of the rates are the same"),
        ({"trials": 0}, "trials: got 0"),
        ({"vary": {"lora": {"alpha": [1]}}}, "of LoRA it can vary r"),
        ({"grid": True, "rates": list(range(1, 13)), "m": list(range(2, 12))}, "make 120 trials"),
        ({"speed": 1}, "speed is not a setting"),
    ],
)
def test_what_cannot_be_searched_is_a_sentence(asked, sentence):
    with pytest.raises(InvalidChoice, match=sentence):
        parse_search(SEARCH | asked)
