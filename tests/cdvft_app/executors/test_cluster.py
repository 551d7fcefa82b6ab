"""Runs on a real Ray cluster of this machine, and what becomes of them when parts of it fail."""

import hashlib
import multiprocessing
import os
import signal
from contextlib import contextmanager
from pathlib import Path

import cluster_trainer
import pytest
import tiny_trainer
from ray_cluster import LoopbackCluster
from sources import ROOT
from waiting import wait, wait_for

from cdvft_app.executors.base import LocalProcesses, supervise
from cdvft_app.executors.queue import RunQueue
from cdvft_app.executors.ray_cluster import RayCluster
from cdvft_app.settings import RunSettings, UploadedDataset
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL

HERE = Path(__file__).parent
PATHS = [ROOT, ROOT / "tests", HERE.parent, HERE, HERE.parent / "training"]
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a token that is for this test's cluster alone"}
pytestmark = pytest.mark.cluster


def settings(seed, **more):
    given = {"max_steps": 12, "checkpoint_every": 5, "batch_size": 8, **more}
    return RunSettings(method="cdvft", seed=seed, **given)


@contextmanager
def queue_on(store, address):
    executor = RayCluster(address, ships_code=False, trainer="cluster_trainer:train")
    wait_for(lambda: executor.runs_at_once() > 1)  # Ray is imported, and the head has answered
    queue = RunQueue(store, workers=8, executor=executor)
    queue.start()
    yield queue
    queue.close()


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    return tmp_path_factory.mktemp("held")


@pytest.fixture(scope="module")
def ray(held, tmp_path_factory):
    """A cluster of one node. Runs of this process have one thread, and Ray's default is two."""
    model = tmp_path_factory.mktemp("model") / "bert"
    tiny_trainer.save_model(model)
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, PATHS)),
        "OMP_NUM_THREADS": "2",
        "TINY_MODEL": str(model),
        cluster_trainer.HELD: str(held),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**TOKEN, "OMP_NUM_THREADS": "1"}.items():
            patch.setenv(name, value)
        made = LoopbackCluster(environment)
        try:
            made.add(cpus=5)
            yield made
        finally:
            made.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = RunStore(tmp_path_factory.mktemp("store"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def queue(store, ray):
    with queue_on(store, ray.address) as made:
        yield made


def losses(store, run_id):
    told = store.rows(run_id, kinds=["step"])[0]
    assert [row["step"] for row in told] == list(range(1, len(told) + 1)), "each step once"
    return [row["loss"] for row in told]


def notes(store, run_id):
    return [row["text"] for row in store.rows(run_id, kinds=["note"])[0]]


def test_uploaded_data_is_copied_and_removed(store, queue, monkeypatch, ray):
    sha256, rows = "ab" * 32, b"these rows" * 20_000
    file = store.root / "data" / sha256 / "rows.arrow"
    file.parent.mkdir(parents=True)
    file.write_bytes(rows)
    monkeypatch.setenv("RUNS_DIR", str(store.root))
    held_apart = {"train_rows": 8, "evaluation_rows": 8}
    own = UploadedDataset(
        sha256=sha256, title="mine", kind="text", inputs=("text",), label="label", **held_apart
    )
    (run_id,) = queue.submit([settings(3, data=own)], "a")
    run = wait(store, run_id, *FINAL)
    assert run.state == "finished" and run.private, run.reason
    assert f"rows: {hashlib.sha256(rows).hexdigest()}" in notes(store, run_id)
    wait_for(lambda: not any("rows.arrow" in files for _, _, files in os.walk(ray.home)))


def test_run_resumes_bitwise_after_node_is_killed(store, queue, ray, held, tmp_path):
    (held / "1").touch()
    (run_id,) = queue.submit([settings(1)], "a")
    folder = store.folder(run_id)
    came = folder / "checkpoints" / "checkpoint-5"
    wait_for(lambda: (held / "1.held").exists() and came.is_dir())
    ray.nodes[0].kill()
    ray.add(cpus=5)
    run = wait(store, run_id, *FINAL)
    assert (run.state, run.result["attempt"], run.result["node"]) == ("finished", 2, os.uname().nodename)
    assert not (folder / "checkpoints").exists() and not (folder / "incoming").exists()
    assert "1 threads" in notes(store, run_id), "the page's own number, and not Ray's"
    here = RunStore(tmp_path / "store")
    tiny_trainer.save_model(tmp_path / tiny_trainer.MODEL)
    (undisturbed,) = here.create([settings(1)], "a", process=this_process())
    supervise(here, undisturbed, LocalProcesses("tiny_trainer:train"))
    assert run.metric == here.get(undisturbed.id).metric
    assert losses(store, run_id) == losses(here, undisturbed.id)
    for name in ("adapter/adapter_model.safetensors", "predictions.safetensors"):
        assert (folder / name).read_bytes() == (here.folder(undisturbed.id) / name).read_bytes()
    here.close()


def serve(folder, address):
    """A page's queue on a cluster, with one run, until it is killed."""
    with queue_on(RunStore(folder), address) as queue:
        queue.submit([settings(2, max_steps=300, keep="last")], "a")
        signal.pause()


def test_killed_page_follows_its_runs_again(ray, tmp_path):
    page = multiprocessing.get_context("spawn").Process(target=serve, args=(tmp_path, ray.address))
    page.start()
    store = RunStore(tmp_path)
    wait_for(lambda: any(run.step > 3 for run in store.history()))
    page.kill()
    page.join()
    (run,) = store.history()
    wait_for(lambda: store.get(run.id).is_left_on_cluster)
    with queue_on(store, ray.address):
        ended = wait(store, run.id, *FINAL)
    assert (ended.state, ended.result["attempt"]) == ("finished", 1), "nothing was begun a second time"
    assert len(losses(store, run.id)) == 300
    assert not any("was lost" in text for text in notes(store, run.id))
    store.close()
