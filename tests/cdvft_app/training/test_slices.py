"""Slices that somebody drives: one run, as if it was of one piece."""

import pytest
from queued_runs import begin, drive, drive_to_the_end, steps
from tiny_trainer import MODEL, save_model
from waiting import wait

from cdvft_app.settings import RunSettings
from cdvft_app.store.states import FINAL


def test_slices_make_one_whole_run(store, start_slices):
    orders = []

    def lend(train):
        def called(order):
            orders.append(order)
            yield from train(order)

        return called

    slices, _, run_id, _ = begin(start_slices, lend=lend)
    assert store.state(run_id) == "running" and 0 < store.get(run_id).step < 40
    drive_to_the_end(slices, store, run_id)
    run = wait(store, run_id, *FINAL)
    assert (run.state, run.reason, run.step) == ("finished", None, 40)
    assert steps(store, run_id) == [*range(1, 41)] and len(orders) > 2
    assert not drive(slices, run_id)


@pytest.mark.nightly
def test_slices_match_an_uninterrupted_run(store, start_slices):
    save_model(store.root.parent / MODEL)
    settings = RunSettings(method="cdvft", max_steps=30, batch_size=8, checkpoint_every=100)
    runs = {}
    for seconds in (60, 0.01):  # of which a fast machine needs several, too
        slices, queue = start_slices("tiny_trainer:train", seconds=seconds)
        (run_id,) = queue.submit([settings], "a")
        drive_to_the_end(slices, store, run_id)
        runs[seconds] = run_id
        queue.close()
    whole, sliced = runs.values()
    assert store.state(whole) == store.state(sliced) == "finished"
    assert len(store.rows(whole, kinds=["started"])[0]) == 1
    assert len(store.rows(sliced, kinds=["started"])[0]) > 2
    for kind, also in (("step", "learning_rate"), ("evaluation", "metric")):
        of_each = [
            [(row["step"], row["loss"], row[also]) for row in store.rows(one, kinds=[kind])[0]]
            for one in (whole, sliced)
        ]
        assert of_each[0] == of_each[1]
    weights = [store.folder(one) / "adapter" / "adapter_model.safetensors" for one in (whole, sliced)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    notes = [row["text"] for row in store.rows(sliced, kinds=["note"])[0]]
    assert len(set(notes)) == len(notes) and not [note for note in notes if "Went on" in note]


def test_slices_pause_runs_without_a_page(store, start_slices):
    slices, queue, run_id, _ = begin(start_slices, idle_seconds=0.3)
    run = wait(store, run_id, *FINAL)
    assert run.state == "interrupted" and "page that this run trained through was closed" in run.reason
    assert not drive(slices, "of no such run")
    slices.idle_seconds = 60.0
    queue.resume(run_id, "a")
    drive_to_the_end(slices, store, run_id)
    assert store.state(run_id) == "finished" and steps(store, run_id) == [*range(1, 41)]
