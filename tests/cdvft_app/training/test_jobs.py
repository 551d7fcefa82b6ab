"""The queue with trainers that take milliseconds: what they do is what a trainer may do to it."""

import errno

import pytest
import run_events
from queued_runs import RUN, FakeTrainer, steps
from waiting import wait

from cdvft_app.events import TrainingFailed
from cdvft_app.settings import RunSettings
from cdvft_app.store.processes import machine, this_process
from cdvft_app.store.records import IllegalTransition, NotOwner, UnknownRun
from cdvft_app.store.states import FINAL
from cdvft_app.training.run import ERROR_FILE


def test_queue_trains_a_race_in_order(store, queue):
    trainer = FakeTrainer()
    race = [RunSettings(method=method) for method in ("lora", "cdvft", "head")]
    ids = queue(trainer).submit(race, "a", "race")
    runs = [wait(store, run_id, *FINAL) for run_id in ids]
    assert [(run.state, run.reason, run.step, run.metric, run.name) for run in runs] == [
        ("finished", None, 3, 0.75, "race")
    ] * 3
    assert trainer.calls == [(settings, False) for settings in race]
    assert runs[0].ended <= runs[1].started <= runs[1].ended <= runs[2].started
    kinds = [row["kind"] for row in store.rows(ids[1])[0]]
    assert kinds == ["preparing", "started", "step", "step", "step", "evaluation", "done"]


def test_queue_stops_waiting_runs_at_once(store, queue):
    trainer = FakeTrainer()
    trainer.go.clear()
    working = queue(trainer)
    first, second, third = working.submit([RUN] * 3, "a")
    wait(store, first, "preparing")
    assert [store.queue_place(run) for run in (first, second, third)] == [None, 1, 2]
    working.stop(second, "a")
    assert store.state(second) == "stopped" and store.queue_place(third) == 1
    working.stop(first, "a")
    run = wait(store, first, *FINAL)
    assert (run.state, run.reason, run.step) == ("stopped", "Stopped before the first step.", 0)
    trainer.go.set()
    wait(store, third, "finished")
    assert len(trainer.calls) == 2 and store.state(second) == "stopped"


ENDINGS = [
    (TrainingFailed("The loss became nan at step 2. Try 1e-4."), "The loss became nan at step 2. Try 1e-4."),
    (OSError("no room in /srv/runs/3f/adapter.bin"), "unexpectedly with OSError: no room in adapter.bin"),
    (OSError(errno.ENOSPC, "No space left on device"), "The disk is full. As soon as there is room, Resume"),
    (MemoryError(), "ran out of memory. Lower the batch size"),
]


@pytest.mark.parametrize(("error", "reason"), ENDINGS)
def test_queue_survives_failing_runs(store, queue, error, reason):
    def fail(step):
        if step == 2 and len(trainer.calls) == 1:
            raise error

    trainer = FakeTrainer(3, fail)
    working = queue(trainer)
    first, second = working.submit([RUN] * 2, "a")
    run = wait(store, first, *FINAL)
    assert run.state == "failed" and reason in run.reason and "\n" not in run.reason
    assert wait(store, second, *FINAL).state == "finished"
    details = store.folder(first) / ERROR_FILE
    assert "Traceback" in details.read_text() and type(error).__name__ in details.read_text()
    working.resume(first, "a")
    run = wait(store, first, "finished")
    assert run.reason is None and not details.exists() and trainer.calls[-1][1] is True


def test_queue_checks_owners(store, queue):
    working = queue(FakeTrainer(), start=False)
    (run_id,) = working.submit([RUN], "a")
    for act in (working.stop, working.resume):
        for token in ("b", "", None):
            with pytest.raises(NotOwner):
                act(run_id, token)
        with pytest.raises(UnknownRun):
            act("../" + run_id, "a")
    assert store.state(run_id) == "queued"
    with pytest.raises(IllegalTransition, match="is queued; only a run that is stopped or failed or interr"):
        working.resume(run_id, "a")
    working.stop(run_id, "a")
    with pytest.raises(IllegalTransition, match="already ended"):
        working.stop(run_id, "a")


def test_queue_start_interrupts_runs_of_dead_processes(store, queue):
    left, alive, waiting = (run.id for run in store.create([RUN] * 3, "a"))
    store.set_state(left, "preparing", process=f"999999999:1.00@{machine()}")
    store.append(left, run_events.started(6))
    for step in range(1, 5):
        store.append(left, run_events.step(step))
    (store.folder(left) / "checkpoint").write_text("2")
    store.set_state(alive, "preparing", process=this_process())
    trainer = FakeTrainer(6)
    working = queue(trainer, start=False)
    assert working.start() == [left]
    wait(store, waiting, "finished")
    assert (store.state(left), store.state(alive)) == ("interrupted", "preparing")
    working.resume(left, "a")
    assert wait(store, left, *FINAL).state == "finished" and trainer.calls[-1][1] is True
    assert steps(store, left) == [1, 2, 3, 4, 5, 6]
    store.set_state(alive, "stopped")
