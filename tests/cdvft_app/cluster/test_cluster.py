"""Runs on a real Ray cluster of this machine, and what becomes of them when parts of it fail."""

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cluster_trainer
import pytest
import tiny_trainer
from held_runs import (
    PATHS,
    Held,
    ends_whole,
    executor_on,
    expected_losses,
    losses,
    notes,
    queue_on,
    ray_cluster,
    serve,
    settings,
    train_on,
)
from ray_cluster import command
from sources import ROOT
from waiting import wait, wait_for

from cdvft_app.cluster.executor import RayCluster
from cdvft_app.settings import RunSettings, UploadedDataset
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL
from cdvft_app.training.children import KILLED
from cdvft_app.training.executors import LocalProcesses, supervise

HERE = Path(__file__).parent
REAL = RunSettings(method="cdvft", max_steps=12, checkpoint_every=5, batch_size=8, seed=cluster_trainer.REAL)
PHASES = {"preparing": 11, "training": 12, "checkpoint": 13, "final evaluation": 14}
pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    return Held(tmp_path_factory.mktemp("held"))


@pytest.fixture(scope="module")
def ray(held, tmp_path_factory):
    model = tmp_path_factory.mktemp("model") / "bert"
    tiny_trainer.save_model(model)
    with ray_cluster(held, TINY_MODEL=str(model)) as made:
        yield made


@pytest.fixture(scope="module")
def nodes(ray):
    """Those that live; the first one is where runs are."""
    return [ray.add(cpus=5)]


@pytest.fixture(scope="module")
def executor(ray, nodes):
    return executor_on(ray)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = RunStore(tmp_path_factory.mktemp("store"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def queue(store, executor):
    with queue_on(store, executor, workers=8) as made:
        yield made


@pytest.fixture
def add(ray, nodes, executor):
    """`add(cpus, ...)`: a further node, which no run of a later test is given any more."""
    made = []

    def start(*given, **more):
        made.append(ray.add(*given, **more))
        return made[-1]

    yield start
    for node in made:
        node.send(signal.SIGKILL)
    wait_for(lambda: len(executor.nodes()) == 2)  # the head, and where runs are


def test_a_run_trains_on_a_node_as_it_does_here(store, queue, executor):
    (run_id,) = queue.submit([settings(1)], "a")
    run = ends_whole(store, run_id, settings(1))
    assert (run.step, run.metric, run.result["node"]) == (20, 0.75, os.uname().nodename)
    folder = store.folder(run_id)
    assert (folder / run.result["adapter_folder"] / "adapter_model.safetensors").is_file()
    assert not (folder / "checkpoints").exists() and not (folder / "incoming").exists()
    assert "1 threads" in notes(store, run_id), "the page's own number, and not Ray's"
    (node,) = (node for node in executor.nodes() if node.resources.get("CPU") == 5)
    assert node.name == os.uname().nodename and node.problem is None


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


def test_stop_keeps_what_was_learned(store, queue):
    (run_id,) = queue.submit([settings(3, max_steps=3000)], "a")
    wait_for(lambda: store.get(run_id).step > 3)
    queue.stop(run_id, "a")
    run = wait(store, run_id, *FINAL)
    assert run.state == "stopped" and 3 < run.step < 3000
    assert (store.folder(run_id) / "adapter" / "adapter_model.safetensors").is_file()


def test_a_run_that_waits_for_a_place_stops_at_once(store, queue, monkeypatch):
    monkeypatch.setenv("CDVFT_RUN_RESOURCES", "nowhere=1")
    (run_id,) = queue.submit([settings(5)], "a")
    wait_for(lambda: "waits" in str(notes(store, run_id, "preparing")))
    queue.stop(run_id, "a")
    run = wait(store, run_id, *FINAL)
    assert (run.state, run.reason) == ("stopped", "Stopped before the first step.")


def test_a_limit_of_time_ends_it_and_it_goes_on_later(store, queue, monkeypatch):
    monkeypatch.setattr(queue, "max_seconds", 1)
    asked = settings(4, max_steps=150)
    (run_id,) = queue.submit([asked], "a")
    run = wait(store, run_id, *FINAL)
    assert run.state == "failed" and "the limit of this server" in run.reason
    monkeypatch.setattr(queue, "max_seconds", None)
    queue.resume(run_id, "a")
    wait(store, run_id, "finished")
    assert any(text.startswith("Went on from step") for text in notes(store, run_id))
    assert losses(store, run_id) == expected_losses(asked)


def test_a_run_whose_process_is_killed_on_its_node_fails_and_says_so(store, queue, held):
    held.hold(16)
    (run_id,) = queue.submit([settings(16)], "a")
    trains = int(wait_for(lambda: held.holds(16) and (held.folder / "16.held").read_text()))
    os.kill(trains, signal.SIGKILL)
    run = wait(store, run_id, *FINAL)
    assert (run.state, run.reason, run.result["attempt"]) == ("failed", KILLED, 1)
    assert run.is_resumable


def test_runs_ask_for_gpus_where_there_are_any(store, queue, executor, add, held, *, monkeypatch):
    add(cpus=4, gpus=2)
    wait_for(lambda: executor.resources().get("GPU") == 1)
    both = [settings(7), settings(8)]
    for one in both:
        held.hold(one.seed)
    ids = queue.submit(both, "a")
    wait_for(lambda: held.holds(*(one.seed for one in both)))
    (third,) = queue.submit([settings(9)], "a")
    wait_for(lambda: "waits" in str(notes(store, third, "preparing")))
    for one in both:
        held.let_go(one.seed)
    assert all(wait(store, run_id, *FINAL).state == "finished" for run_id in (*ids, third))
    assert {gpus(store, run_id) for run_id in ids} == {"0", "1"}
    assert gpus(store, third) in ("0", "1")
    monkeypatch.setenv("CDVFT_RUN_GPUS", "0.5")
    assert executor.resources()["GPU"] == 0.5
    (half,) = queue.submit([settings(15)], "a")
    assert wait(store, half, *FINAL).state == "finished" and gpus(store, half) in ("0", "1")


def gpus(store, run_id):
    """Those that Ray lets the run see."""
    (said,) = (text for text in notes(store, run_id) if text.startswith("GPUs: "))
    return said.removeprefix("GPUs: ")


@pytest.fixture(scope="module")
def killed(store, queue, ray, nodes, held):
    """The runs of a node that was killed, one in each phase, and of one that trained a model."""
    asked = {phase: settings(seed) for phase, seed in PHASES.items()}
    asked["training a model"] = REAL
    for phase, one in asked.items():
        held.hold(one.seed, phase.removesuffix(" a model"))
    ids = dict(zip(asked, queue.submit(list(asked.values()), "a"), strict=True))
    wait_for(lambda: held.holds(*(one.seed for one in asked.values())))
    brought = {"training": 5, "checkpoint": 5, "final evaluation": 20, "training a model": 5}
    for phase, step in brought.items():
        came = store.folder(ids[phase]) / "checkpoints" / f"checkpoint-{step}"
        wait_for(came.is_dir)
    nodes[0].send(signal.SIGKILL)
    nodes[0] = ray.add(cpus=5)
    for run_id in ids.values():
        wait(store, run_id, *FINAL)
    return ids


@pytest.mark.parametrize("phase", PHASES)
def test_a_run_whose_node_is_killed_goes_on_elsewhere(store, killed, phase):
    run = ends_whole(store, killed[phase], settings(PHASES[phase]), attempt=2)
    begun = {"preparing": "begins again elsewhere", "final evaluation": "goes on elsewhere from step 20"}
    begun |= dict.fromkeys(("training", "checkpoint"), "goes on elsewhere from step 5")
    (lost,) = (text for text in notes(store, run.id) if "was lost" in text)
    assert lost.endswith(f"The run {begun[phase]}.")


def test_a_model_goes_on_to_the_same_bit(store, killed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("here")
    here = RunStore(folder / "store")
    tiny_trainer.save_model(folder / tiny_trainer.MODEL)
    (run,) = here.create([REAL], "a", process=this_process())
    supervise(here, run, LocalProcesses("tiny_trainer:train"))
    undisturbed, disturbed = here.get(run.id), store.get(killed["training a model"])
    assert disturbed.state == undisturbed.state == "finished", (disturbed.reason, undisturbed.reason)
    assert disturbed.result["attempt"] == 2 and disturbed.metric == undisturbed.metric
    assert losses(store, disturbed.id) == losses(here, run.id)
    for name in ("adapter/adapter_model.safetensors", "predictions.safetensors"):
        assert (store.folder(disturbed.id) / name).read_bytes() == (here.folder(run.id) / name).read_bytes()
    kept = [sorted(path.name for path in one.rglob("step-*")) for one in
            (store.folder(disturbed.id), here.folder(run.id))]  # fmt: skip
    assert kept[0] == kept[1] and kept[0]
    here.close()


@pytest.mark.parametrize("end", ["page", "head"])
def test_a_run_goes_on_when_the_connection_is_cut(store, queue, executor, ray, end):
    asked = settings({"page": 21, "head": 23}[end], max_steps=300)
    (run_id,) = queue.submit([asked], "a")
    wait_for(lambda: store.get(run_id).step > 3)
    if end == "page":
        os.kill(executor.connection.process, signal.SIGKILL)
    else:  # what there speaks for this page
        speaks = [one for one in ray.head_processes() if "--mode=specific-server" in command(one)]
        assert speaks
        for one in speaks:
            one.kill()
    ends_whole(store, run_id, asked)


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


def test_a_node_without_the_package_is_refused_in_a_sentence(store, queue, add, monkeypatch, tmp_path):
    (tmp_path / "cdvft").mkdir()
    (tmp_path / "cdvft" / "__init__.py").write_text("raise ImportError")
    add(1, {"PYTHONPATH": str(tmp_path)}, lab=1)
    monkeypatch.setenv("CDVFT_RUN_RESOURCES", "lab=1")
    (run_id,) = queue.submit([settings(31)], "a")
    run = wait(store, run_id, *FINAL)
    assert run.state == "failed" and "it has cdvft not at all in place of" in run.reason
    assert run.reason.endswith("Install the same versions there.")


def test_a_stranger_is_told_what_to_check(store, ray, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a token that is not this cluster's")
    stranger = RayCluster(ray.address, ships_code=False)
    wait_for(lambda: stranger.nodes() or stranger.connection.refused)
    (made,) = store.create([settings(93)], "a")
    run, since = store.leases.acquire(made.id, this_process()), time.monotonic()
    supervise(store, run, stranger, closing=lambda: time.monotonic() - since > 3)
    stranger.close()
    said = notes(store, made.id, "preparing")
    assert any(text.startswith("The cluster does not answer: ") and "token" in text for text in said), said


def test_a_large_checkpoint_goes_through_the_storage(
    store, queue, ray, nodes, *, held, monkeypatch, tmp_path
):
    monkeypatch.setenv("CDVFT_STORAGE", str(tmp_path / "lab"))
    asked = settings(cluster_trainer.LARGE[0])
    held.hold(asked.seed)
    (run_id,) = queue.submit([asked], "a")
    stored = store.folder(run_id) / "checkpoints" / "stored.json"
    wait_for(lambda: held.holds(asked.seed) and stored.is_file())
    nodes[0].send(signal.SIGKILL)
    nodes[0] = ray.add(cpus=5)
    ends_whole(store, run_id, asked, attempt=2)
    assert any("are kept in CDVFT_STORAGE" in text for text in notes(store, run_id))
    wait_for(lambda: not list((tmp_path / "lab").rglob("*.zip")))


def test_a_node_is_free_when_the_program_ends_with_its_run(store, ray, add, monkeypatch):
    node = add(1, last=1)
    monkeypatch.setenv("CDVFT_RUN_RESOURCES", "last=1")
    run_id = train_on(executor_on(ray), store, settings(94))
    assert store.state(run_id) == "finished"
    wait_for(lambda: not node.trains(), seconds=5)


def test_on_a_node_of_the_cluster_auto_is_address_enough(store, ray, nodes, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", ray.home)
    run_id = train_on(executor_on(ray, address="auto"), store, settings(91))
    ends_whole(store, run_id, settings(91))


def test_a_checkout_is_sent_to_nodes_that_do_not_have_it(store, ray, add, monkeypatch):
    without = os.pathsep.join(str(path) for path in PATHS if path != ROOT)
    add(1, {"PYTHONPATH": without}, bare=1)
    monkeypatch.setenv("CDVFT_RUN_RESOURCES", "bare=1")
    run_id = train_on(executor_on(ray, ships_code=True), store, settings(92))
    assert store.state(run_id) == "finished", store.get(run_id).reason


def test_a_full_object_store_hinders_nothing(store, queue, ray):
    filling = subprocess.Popen(
        [sys.executable, HERE / "fill_object_stores.py", ray.address], stdout=subprocess.PIPE, text=True
    )
    assert filling.stdout and "full\n" in filling.stdout  # which waits for it
    (run_id,) = queue.submit([settings(41)], "a")
    wait(store, run_id, *FINAL)
    filling.kill()
    ends_whole(store, run_id, settings(41))


def test_a_node_that_says_nothing_is_left_and_may_come_back(store, queue, ray, nodes, held):
    run_id = held.submit(store, queue, settings(51))
    hanging, nodes[0] = nodes[0], ray.add(cpus=5)
    hanging.send(signal.SIGSTOP)
    wait_for(lambda: store.get(run_id).result.get("attempt") == 2)
    held.let_go(51)
    hanging.send(signal.SIGCONT)  # its attempt, too, would go on
    wait(store, run_id, *FINAL)
    hanging.send(signal.SIGKILL)
    ends_whole(store, run_id, settings(51), attempt=2)


def test_runs_go_on_when_the_head_is_started_anew(store, queue, ray, held):
    run_id = held.submit(store, queue, settings(61))
    ray.restart()
    ray.add(cpus=5)
    ends_whole(store, run_id, settings(61), attempt=2)
