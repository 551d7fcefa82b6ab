"""Slices that somebody drives: one run, as if it was of one piece."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from queued_runs import wait, wait_for
from safetensors.numpy import load_file
from tiny_trainer import MODEL, save_model

from cdvft_app.events import Note, Preparing
from cdvft_app.settings import RunSettings
from cdvft_app.store.states import FINAL
from cdvft_app.training import supervision
from cdvft_app.training.jobs import JobQueue, QueueFull
from cdvft_app.training.slices import NotLent, Slices

RUN = RunSettings(method="cdvft", max_steps=40)


@pytest.fixture
def start(store, monkeypatch):
    """`start(trainer, **options)`: slices, and a queue that trains in them."""
    monkeypatch.setattr(supervision, "POLL_SECONDS", 0.02)
    queues = []

    def make(trainer, **options):
        slices = Slices(trainer=trainer if ":" in trainer else f"fake_trainers:{trainer}", **options)
        queues.append(JobQueue(store, executor=slices))
        queues[-1].start()
        return slices, queues[-1]

    yield make
    for queue in queues:
        queue.close()


def drive(slices, run_id):
    """One slice to its end; what it told, None where there was none to drive."""
    return list(slices.drive(run_id)) or None


def drive_to_the_end(slices, store, run_id):
    wait_for(lambda: not drive(slices, run_id) and store.state(run_id) in FINAL)


def steps(store, run_id):
    return [row["step"] for row in store.rows(run_id, kinds=["step"])[0]]


def test_slices_make_a_whole_run(store, start):
    orders = []

    def lend(train):
        def called(order):
            orders.append(order)
            yield from train(order)

        return called

    slices, queue = start("slowly", seconds=0.02, lend=lend)
    (run_id,) = queue.submit([RUN], "a")
    wait_for(lambda: drive(slices, run_id))
    assert store.state(run_id) == "running" and 0 < store.get(run_id).step < 40
    drive_to_the_end(slices, store, run_id)
    run = wait(store, run_id, *FINAL)
    assert (run.state, run.reason, run.step) == ("finished", None, 40)
    assert steps(store, run_id) == [*range(1, 41)] and len(orders) > 2
    assert not drive(slices, run_id)


@pytest.mark.slow
def test_a_sliced_run_learns_exactly_what_a_run_of_one_piece_does(store, start):
    save_model(store.root.parent / MODEL)
    settings = RunSettings(method="cdvft", max_steps=30, batch_size=8, checkpoint_every=100)
    runs = {}
    for seconds in (60, 0.05):
        slices, queue = start("tiny_trainer:train", seconds=seconds)
        (run_id,) = queue.submit([settings], "a")
        drive_to_the_end(slices, store, run_id)
        runs[seconds] = run_id
        queue.close()
    whole, sliced = runs.values()
    assert store.state(whole) == store.state(sliced) == "finished"
    assert len(store.rows(whole, kinds=["started"])[0]) == 1
    assert len(store.rows(sliced, kinds=["started"])[0]) > 2
    for kind, what in (
        ("step", ("step", "loss", "learning_rate")),
        ("evaluation", ("step", "loss", "metric")),
    ):
        of_each = [
            [[row[name] for name in what] for row in store.rows(one, kinds=[kind])[0]]
            for one in runs.values()
        ]
        assert of_each[0] == of_each[1]
    weights = [
        load_file(store.folder(one) / "adapter" / "adapter_model.safetensors") for one in (whole, sliced)
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
    notes = [row["text"] for row in store.rows(sliced, kinds=["note"])[0]]
    assert len(set(notes)) == len(notes) and not [note for note in notes if "Went on" in note]


def test_seconds_on_the_hardware_add_up_over_slices(store, start):
    slices, queue = start("slowly", seconds=0.05)
    (run_id,) = queue.submit([RUN], "a")
    first = wait_for(lambda: drive(slices, run_id))
    lent = first[-1]["lent_seconds"]
    assert lent >= first[-1]["loading_seconds"] + 0.05
    assert store.get(run_id).result["lent_seconds"] == pytest.approx(lent, abs=0.05)
    assert slices.lent_seconds(run_id) == lent
    drive_to_the_end(slices, store, run_id)
    assert store.get(run_id).result["lent_seconds"] > lent
    wait_for(lambda: slices.lent_seconds(run_id) is None)
    kinds = [row["kind"] for row in store.rows(run_id)[0]]
    assert kinds[-2:] == ["lent", "done"]


def test_a_slice_that_is_closed_leaves_at_a_checkpoint_at_once(store, start):
    slices, queue = start("slowly", seconds=60)
    (run_id,) = queue.submit([RunSettings(method="cdvft", max_steps=100_000)], "a")
    wait_for(lambda: slices.due([run_id]))
    slice_ = slices.drive(run_id)
    next(slice_)
    assert slices.due([run_id]) is None and drive(slices, run_id) is None  # one drives it already
    wait_for(lambda: store.get(run_id).step > 3)
    begun = time.monotonic()
    slice_.close()
    assert time.monotonic() - begun < 5
    at = store.get(run_id).step
    assert int((store.folder(run_id) / "checkpoint").read_text()) == at
    assert store.state(run_id) == "running" and slices.due([run_id]) == run_id


def test_a_run_that_is_asked_to_stop_does_so_in_the_next_slice(store, start):
    slices, queue = start("slowly", seconds=0.02)
    (run_id,) = queue.submit([RUN], "a")
    wait_for(lambda: drive(slices, run_id))
    before = store.get(run_id).step
    queue.stop(run_id, "a")
    assert drive(slices, run_id)[-1]["ended"]
    run = wait(store, run_id, *FINAL)
    assert (run.state, run.step) == ("stopped", before + 1)


def test_between_two_slices_the_end_of_the_program_waits_for_nobody(store, start):
    slices, queue = start("slowly", seconds=0.02)
    (run_id,) = queue.submit([RUN], "a")
    wait_for(lambda: drive(slices, run_id))
    began = time.monotonic()
    queue.close()
    assert time.monotonic() - began < 5
    run = store.get(run_id)
    assert run.state in ("interrupted", "stopped") and "program" in run.reason
    assert drive(slices, run_id) is None


def test_a_run_that_no_page_asks_for_is_paused_and_can_be_resumed(store, start):
    slices, queue = start("slowly", seconds=0.02, idle_seconds=0.3)
    (run_id,) = queue.submit([RUN], "a")
    wait_for(lambda: drive(slices, run_id))
    run = wait(store, run_id, *FINAL)
    assert run.state == "interrupted" and "page that this run trained through was closed" in run.reason
    assert not drive(slices, "of no such run")
    slices.idle_seconds = 60.0
    queue.resume(run_id, "a")
    drive_to_the_end(slices, store, run_id)
    assert store.state(run_id) == "finished" and steps(store, run_id) == [*range(1, 41)]


def test_a_page_that_asks_keeps_a_run_alive(store, start):
    slices, queue = start("slowly", seconds=0.02, idle_seconds=0.3)
    (run_id,) = queue.submit([RUN], "a")
    for _ in range(20):
        time.sleep(0.05)
        slices.due([run_id])
    assert store.state(run_id) == "preparing"


def test_what_goes_wrong_in_a_slice_is_the_runs_reason(store, start):
    slices, queue = start("none_of_that_name")
    (run_id,) = queue.submit([RUN], "a")
    drive_to_the_end(slices, store, run_id)
    run = wait(store, run_id, *FINAL)
    assert run.state == "failed" and "none_of_that_name" in run.reason


def refusing(*errors):
    """`lend` that raises one of the errors a slice, after it has begun, and then lends."""
    left, orders = list(errors), []

    def lend(train):
        def called(order):
            orders.append(order)
            for number, news in enumerate(train(order)):
                if left and number:
                    raise left.pop(0)
                yield news

        return called

    return lend, orders


def test_without_hardware_a_run_is_paused_and_says_why(store, start):
    lend, _ = refusing(NotLent("The day's time is used up."))
    slices, queue = start("slowly", seconds=0.02, lend=lend)
    (run_id,) = queue.submit([RUN], "a")
    wait_for(lambda: drive(slices, run_id))
    run = wait(store, run_id, *FINAL)
    assert (run.state, run.reason) == ("interrupted", "The day's time is used up.")
    queue.resume(run_id, "a")
    drive_to_the_end(slices, store, run_id)
    assert store.state(run_id) == "finished" and steps(store, run_id) == [*range(1, 41)]


def test_hardware_that_was_taken_away_is_asked_for_twice_as_long_and_only_once(store, start):
    lend, orders = refusing(NotLent("Taken away.", again=True), NotLent("Taken away.", again=True))
    slices, queue = start("slowly", seconds=0.02, lend=lend)
    (run_id,) = queue.submit([RUN], "a")
    wait_for(lambda: drive(slices, run_id))
    assert store.state(run_id) == "running"
    drive(slices, run_id)
    assert wait(store, run_id, *FINAL).state == "interrupted"
    first, second = (order.asked_seconds for order in orders)
    assert second > 1.7 * first


def test_a_slice_asks_for_no_longer_than_the_run_needs(store, start):
    slices, _ = start("slowly")
    (run,) = store.create([RUN], "a")
    unknown = slices.order(run)
    assert unknown.seconds == 15 and 40 <= unknown.asked_seconds <= 45
    soon = replace(run, step=35, total_steps=40, seconds=35.0)
    assert slices.order(soon).seconds == pytest.approx(1.3 * 5 + 1)
    forecast = {"seconds": {"high": 4.0}, "evaluating": {"times": 2, "seconds": 1.0, "last_seconds": 7.0}}
    promised = slices.order(replace(run, forecast=forecast))
    assert promised.seconds == pytest.approx(1.3 * 4 + 1)
    assert promised.asked_seconds > promised.seconds + 8
    assert slices.order(run, 2.0).asked_seconds > 1.8 * unknown.asked_seconds
    shorter = slices.order(run, most=35)
    assert shorter.seconds < 15 and shorter.asked_seconds <= 35


def test_what_is_left_of_a_day_is_used_by_a_shorter_slice(store, start):
    lend, orders = refusing(NotLent("30 s are left.", left=30), NotLent("4 s are left.", left=4))
    slices, queue = start("slowly", lend=lend)
    (run_id,) = queue.submit([RunSettings(method="cdvft", max_steps=100_000)], "a")
    wait_for(lambda: drive(slices, run_id))
    assert store.state(run_id) == "running"
    drive(slices, run_id)
    assert wait(store, run_id, *FINAL).reason == "4 s are left."
    assert [order.asked_seconds <= 30 for order in orders] == [False, True]
    assert 5 <= orders[1].seconds < 15


def test_what_a_run_needs_is_fetched_once_before_the_hardware_is_asked_for(store, start):
    told = []

    def fetch(root, settings):
        told.append(root)
        yield Preparing("Fetching the model", 0.5)
        yield None

    slices, queue = start("slowly", seconds=0.02, fetch=fetch)
    one, two = queue.submit([RUN, RUN], "a")
    drive_to_the_end(slices, store, one)
    drive_to_the_end(slices, store, two)
    assert told == [str(store.root)]
    texts = [row["text"] for row in store.rows(one, kinds=["preparing"])[0]]
    assert texts[0] == "Fetching the model" and "Fetching the model" not in [
        row["text"] for row in store.rows(two, kinds=["preparing"])[0]
    ]


def test_each_owner_has_one_run_at_a_time(store, start):
    slices, queue = start("slowly", seconds=0.02)
    mine, next_of_mine = queue.submit([RUN, RUN], "a")
    (theirs,) = queue.submit([RUN], "b")
    wait_for(lambda: store.state(mine) == store.state(theirs) == "preparing")
    assert wait_for(lambda: slices.due([mine, next_of_mine])) == mine
    assert store.state(next_of_mine) == "queued"
    drive_to_the_end(slices, store, mine)
    wait_for(lambda: store.state(next_of_mine) == "preparing")


def test_sweeps_are_refused_where_a_page_drives_each_run(start):
    _, queue = start("slowly")
    with pytest.raises(QueueFull, match="GPU is lent by the second"):
        queue.submit([RUN], "a", sweep=True)


def says_something(settings, emit, should_stop, folder, resume=False):
    emit(Note("Said at every loading."))
    from fake_trainers import slowly

    return slowly(settings, emit, should_stop, folder, resume)


def test_what_one_slice_has_said_the_next_does_not_repeat(store, start):
    slices, queue = start("test_slices:says_something", seconds=0.02)
    (run_id,) = queue.submit([RUN], "a")
    drive_to_the_end(slices, store, run_id)
    assert [row["text"] for row in store.rows(run_id, kinds=["note"])[0]] == ["Said at every loading."]
