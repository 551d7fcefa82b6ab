"""Runs on a real Ray cluster of this machine, and what becomes of them when parts of it fail."""

import hashlib
import multiprocessing
import os

import cluster_trainer
import pytest
import tiny_trainer
from held_runs import (
    Held,
    ends_whole,
    executor_on,
    losses,
    notes,
    queue_on,
    ray_cluster,
    serve,
    settings,
)
from waiting import wait, wait_for

from cdvft_app.executors.base import LocalProcesses, supervise
from cdvft_app.settings import RunSettings, UploadedDataset
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL

REAL = RunSettings(method="cdvft", max_steps=12, checkpoint_every=5, batch_size=8, seed=cluster_trainer.REAL)
pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    return Held(tmp_path_factory.mktemp("held"))


@pytest.fixture(scope="module")
def ray(held, tmp_path_factory):
    model = tmp_path_factory.mktemp("model") / "bert"
    tiny_trainer.save_model(model)
    with ray_cluster(held, TINY_MODEL=str(model)) as made:
        made.add(cpus=5)
        yield made


@pytest.fixture(scope="module")
def executor(ray):
    made = executor_on(ray.address)
    wait_for(lambda: made.runs_at_once() > 1)  # Ray is imported, and the head has answered
    return made


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = RunStore(tmp_path_factory.mktemp("store"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def queue(store, executor):
    with queue_on(store, executor, workers=8) as made:
        yield made


def test_a_run_trains_on_a_node_as_it_does_here(store, queue, executor):
    (run_id,) = queue.submit([settings(1)], "a")
    run = ends_whole(store, run_id, settings(1))
    assert (run.step, run.metric, run.result["node"]) == (20, 0.75, os.uname().nodename)
    folder = store.folder(run_id)
    assert (folder / run.result["adapter_folder"] / "adapter_model.safetensors").is_file()
    assert not (folder / "checkpoints").exists() and not (folder / "incoming").exists()
    assert "1 threads" in notes(store, run_id), "the page's own number, and not Ray's"


def test_own_data_travels_with_the_run_and_is_removed_there(store, queue, monkeypatch, ray):
    sha256, rows = "ab" * 32, b"these rows" * 20_000
    file = store.root / "data" / sha256 / "rows.arrow"
    file.parent.mkdir(parents=True)
    file.write_bytes(rows)
    monkeypatch.setenv("RUNS_DIR", str(store.root))
    held_apart = {"train_rows": 8, "evaluation_rows": 8}
    own = UploadedDataset(
        sha256=sha256, title="mine", kind="text", inputs=("text",), label="label", **held_apart
    )
    (run_id,) = queue.submit([settings(2, data=own)], "a")
    run = wait(store, run_id, *FINAL)
    assert run.state == "finished" and run.private, run.reason
    assert f"rows: {hashlib.sha256(rows).hexdigest()}" in notes(store, run_id)
    wait_for(lambda: not any("rows.arrow" in files for _, _, files in os.walk(ray.home)))


def test_a_model_goes_on_to_the_same_bit(store, queue, ray, held, tmp_path):
    held.hold(REAL.seed)
    (run_id,) = queue.submit([REAL], "a")
    came = store.folder(run_id) / "checkpoints" / "checkpoint-5"
    wait_for(lambda: held.holds(REAL.seed) and came.is_dir())
    ray.nodes[0].kill()
    ray.add(cpus=5)
    disturbed = wait(store, run_id, *FINAL)
    here = RunStore(tmp_path / "store")
    tiny_trainer.save_model(tmp_path / tiny_trainer.MODEL)
    (run,) = here.create([REAL], "a", process=this_process())
    supervise(here, run, LocalProcesses("tiny_trainer:train"))
    undisturbed = here.get(run.id)
    assert disturbed.state == undisturbed.state == "finished", (disturbed.reason, undisturbed.reason)
    assert disturbed.result["attempt"] == 2 and disturbed.metric == undisturbed.metric
    assert losses(store, disturbed.id) == losses(here, run.id)
    for name in ("adapter/adapter_model.safetensors", "predictions.safetensors"):
        assert (store.folder(disturbed.id) / name).read_bytes() == (here.folder(run.id) / name).read_bytes()
    kept = [sorted(path.name for path in one.rglob("step-*")) for one in
            (store.folder(disturbed.id), here.folder(run.id))]  # fmt: skip
    assert kept[0] == kept[1] and kept[0]
    here.close()


def test_a_page_that_was_killed_follows_its_runs_again(executor, ray, tmp_path, monkeypatch):
    given = (tmp_path / "page", ray.address)
    page = multiprocessing.get_context("spawn").Process(target=serve, args=given)
    page.start()
    store = RunStore(tmp_path / "page")
    wait_for(lambda: any(run.step > 3 for run in store.history()))
    page.kill()
    page.join()
    (run,) = store.history()
    wait_for(lambda: store.get(run.id).is_left_on_cluster)
    monkeypatch.setattr(executor, "close", lambda: None)  # others' too
    with queue_on(store, executor):
        ends_whole(store, run.id, run.settings)  # nothing was begun a second time
    assert not any("was lost" in text for text in notes(store, run.id))
    store.close()
