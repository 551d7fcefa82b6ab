"""A Ray cluster whose runs wait where a test asks them to: how it is started, and what came of its runs."""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cluster_trainer
import pytest
from ray_cluster import LoopbackCluster
from sources import ROOT
from waiting import wait

from cdvft_app.events import Step
from cdvft_app.executors.queue import RunQueue
from cdvft_app.executors.ray_cluster import RayCluster
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL

HERE = Path(__file__).parent
PATHS = [ROOT, ROOT / "tests", HERE, HERE.parent / "training"]
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a token that is for this test's cluster alone"}


class Held:
    """Has runs wait, by a file for each seed in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def hold(self, seed):
        (self.folder / str(seed)).touch()

    def holds(self, seed):
        return (self.folder / f"{seed}.held").exists()


@contextmanager
def ray_cluster(held: Held, **variables: str) -> Iterator[LoopbackCluster]:
    """A cluster without nodes as yet.

    Runs of this process are to have one thread, and Ray's own idea is two.
    """
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, PATHS)),
        "OMP_NUM_THREADS": "2",
        cluster_trainer.HELD: str(held.folder),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**TOKEN, "OMP_NUM_THREADS": "1"}.items():
            patch.setenv(name, value)
        made = LoopbackCluster(environment | variables)
        try:
            yield made
        finally:
            made.close()


def executor_on(address):
    return RayCluster(address, ships_code=False, trainer="cluster_trainer:train")


@contextmanager
def queue_on(store, executor, workers=1) -> Iterator[RunQueue]:
    queue = RunQueue(store, workers=workers, executor=executor)
    queue.start()
    yield queue
    queue.close()


def serve(folder, address):
    """A page's queue on a cluster, with one run, until it is killed."""
    with queue_on(RunStore(folder), executor_on(address)) as queue:
        queue.submit([settings(22, max_steps=300)], "a")
        signal.pause()


def settings(seed, max_steps=20, **more):
    return RunSettings(method="cdvft", max_steps=max_steps, checkpoint_every=5, seed=seed, **more)


def ends_whole(store, run_id, asked, attempt=1):
    """The run once it has ended, to the losses of one that nothing disturbs."""
    run = wait(store, run_id, *FINAL)
    assert (run.state, run.result["attempt"]) == ("finished", attempt), run.reason
    assert losses(store, run_id) == expected_losses(asked)
    return run


def expected_losses(asked):
    """Of a run that nothing disturbs."""
    heard = []
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster_trainer, "TICK", 0)
        cluster_trainer.train(asked, heard.append, lambda: 0, Path(folder))
    return [event.loss for event in heard if isinstance(event, Step)]


def losses(store, run_id):
    told = store.rows(run_id, kinds=["step"])[0]
    assert [row["step"] for row in told] == list(range(1, len(told) + 1)), "each step once"
    return [row["loss"] for row in told]


def notes(store, run_id, kind="note"):
    return [row["text"] for row in store.rows(run_id, kinds=[kind])[0]]
