"""A disk that is truly full: what is refused says so, and all goes on as soon as there is room, by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event

import pytest
from fake_trainers import trains
from in_process import InProcess
from waiting import wait, wait_for

from cdvft_app.executors.queue import RunQueue
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL
from cdvft_app.training.run import Train


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(b"x" * 4096)


@contextmanager
def serving(disk: Path, trainer: Train) -> Iterator[tuple[RunStore, RunQueue]]:
    store = RunStore(disk / "runs")
    queue = RunQueue(store, executor=InProcess(trainer))
    queue.start()
    yield store, queue
    queue.close()
    store.close()


def test_start_works_again_when_there_is_room(small_disk: Path) -> None:
    three_steps = RunSettings(method="cdvft", max_steps=3)
    with serving(small_disk, trains) as (store, queue):
        (before,) = queue.submit([three_steps], "secret")
        wait(store, before, "finished")
        fill(small_disk)
        with pytest.raises(StoreError, match="The disk is full"):
            for _ in range(10_000):  # the file has some room of its own
                store.create([three_steps] * 10, "secret")
        (small_disk / "filler").unlink()
        for run in store.history(10_000):
            if run.id != before and run.state == "queued":
                store.ask_to_stop(run.id)
        (after,) = queue.submit([three_steps], "secret")
        assert wait(store, after, *FINAL).state == "finished"
        assert store.folder(after).is_dir() and store.state(before) == "finished"
    with closing(RunStore(small_disk / "runs")) as again:
        assert not again.notice and again.folders.unknown() == []


def test_a_run_that_fills_the_disk_fails_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    refused = Event()

    def fills(step: int) -> None:
        if step == 3 and not refused.is_set():
            fill(small_disk)

    def trainer(*given, **more):
        try:
            return trains(*given, **more, at_step=fills)
        except (OSError, StoreError):
            refused.set()
            raise

    with serving(small_disk, trainer) as (store, queue):
        (run_id,) = queue.submit([RunSettings(method="cdvft", max_steps=20)], "secret")
        wait_for(refused.is_set)
        shown = wait(store, run_id, *FINAL)  # at once, though nothing can keep it yet
        assert shown.state == "failed" and "The disk is full" in shown.reason
        assert shown.reason.count("/") == 0, "where the history lies is not for visitors"
        (small_disk / "filler").unlink()
        failed = wait(store, run_id, *FINAL)
        assert failed.state == "failed" and failed.step >= 2
        queue.resume(run_id, "secret")
        assert wait(store, run_id, *FINAL).state == "finished"
        steps = [row["step"] for row in store.rows(run_id, kinds=["step"])[0]]
        assert steps == list(range(1, 21))
