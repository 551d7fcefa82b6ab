"""A Ray cluster whose runs wait where a test asks them to: how it is started, and what came of its runs."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cluster_trainer
import pytest
from sources import ROOT

from benchmarks.ray_cluster import LoopbackCluster
from cdvft_app.events import Step
from cdvft_app.settings import RunSettings

HERE = Path(__file__).parent
PATHS = [ROOT, ROOT / "tests", HERE, HERE.parent / "training"]
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a token that is for this test's cluster alone"}


@contextmanager
def ray_cluster(held: Path, **variables: str) -> Iterator[LoopbackCluster]:
    """A cluster without nodes as yet.

    Runs of this process are to have one thread, and Ray's own idea is two.
    """
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, PATHS)),
        "OMP_NUM_THREADS": "2",
        cluster_trainer.HELD: str(held),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**TOKEN, "OMP_NUM_THREADS": "1"}.items():
            patch.setenv(name, value)
        made = LoopbackCluster(environment | variables)
        try:
            yield made
        finally:
            made.close()


def settings(seed, **more):
    return RunSettings(method="cdvft", max_steps=20, checkpoint_every=5, seed=seed, **more)


def hold(held, seed, phase):
    (held / str(seed)).write_text(phase)


def is_held(held, seed):
    return (held / f"{seed}.held").exists()


def let_go(held, seed):
    (held / str(seed)).unlink()


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


def notes(store, run_id):
    return [row["text"] for row in store.rows(run_id, kinds=["note"])[0]]
