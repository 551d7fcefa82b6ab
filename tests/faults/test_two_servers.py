"""Two servers on one folder: each knows which runs are alive, and whose server was killed."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from fake_trainers import slowly
from in_process import InProcess
from waiting import wait

from cdvft_app.executors.queue import RunQueue
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import LeaseLost
from cdvft_app.store.runs import RunStore


def serve(root: Path, pipe: Connection) -> None:
    queue = RunQueue(RunStore(root), executor=InProcess(slowly))
    queue.start()
    while True:
        pipe.send(queue.submit([RunSettings(method="cdvft", max_steps=pipe.recv())], "secret"))


@contextmanager
def server(root: Path) -> Iterator[tuple[BaseProcess, Callable[[int], str]]]:
    """The process of one, and `start(steps)`, which gives the id of a run that it begins."""
    context = multiprocessing.get_context("spawn")
    pipe, there = context.Pipe()
    process = context.Process(target=serve, args=(root, there), daemon=True)
    process.start()
    there.close()

    def start(steps: int) -> str:
        pipe.send(steps)
        return pipe.recv()[0]

    yield process, start
    process.kill()


def test_each_sees_what_became_of_the_others_runs(tmp_path: Path) -> None:
    watching = RunStore(tmp_path)
    with server(tmp_path) as (first, start):
        theirs = start(100_000)
        wait(watching, theirs, "running")
        with server(tmp_path) as (_, start_here):
            ours = start_here(400)
            wait(watching, ours, "running", "finished")
            held = watching.get(theirs)
            assert held and held.state == "running" and held.process != watching.get(ours).process
            first.kill()
            first.join()
            late = RunStore(tmp_path)  # whoever looks first is told the truth
            gone = late.get(theirs)
            assert gone and gone.state == "interrupted" and gone.step >= 0
            with pytest.raises(LeaseLost):
                late.set_state(theirs, "failed", epoch=held.epoch)
            assert wait(watching, ours, "finished").step == 400
            # The living server takes the dead one's run up again.
            watching.set_state(theirs, "queued")
            again = wait(watching, theirs, "running")
            assert again.epoch > held.epoch and again.process == watching.get(ours).process
    watching.close()
