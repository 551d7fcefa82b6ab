"""What of a cluster needs none: attempts and their end, what is transferred, versions; no Ray unasked."""

import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cluster_trainer
import pytest
import run_events
from held_runs import expected_losses, settings
from in_process import InProcess

from benchmarks.trained import train_each
from cdvft_app.cluster import connection, executor, node, transfer
from cdvft_app.cluster.connection import ClusterNode, Connection, fits, mismatch
from cdvft_app.cluster.transfer import Order, Update
from cdvft_app.commands import train as train_command
from cdvft_app.events import Done, Placed, Step
from cdvft_app.settings import InvalidChoice, RunSettings
from cdvft_app.settings.environment import environment
from cdvft_app.store.processes import machine, this_process
from cdvft_app.store.records import LEFT_ON_CLUSTER, StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.training import checkpoints, executors
from cdvft_app.training.executors import NoNews, supervise

RUN, VISITOR = RunSettings(method="cdvft"), "address 192.0.2.1"


class Cluster:
    """Stands for the connection: tells what a test puts into `updates`, and keeps what it was asked.

    Each pull takes the next of the seconds in `takes`, or none; `now` is the time by its clock.
    """

    refused, now = "", 0

    def __init__(self):
        self.updates, self.asked, self.released, self.takes = [], [], [], []
        self.alive = [ClusterNode("1", "lab-1", {"CPU": 4.0}, None)]

    def pull(self, pull):
        self.asked.append(pull)
        self.now += self.takes.pop(0) if self.takes else 0
        if not self.updates:
            raise NoNews
        return self.updates.pop(0) if len(self.updates) > 1 else self.updates[0]

    def release(self, order, seconds=0.0):
        self.released.append(order.name)

    def nodes(self):
        return self.alive


@pytest.fixture
def cluster(monkeypatch):
    made = Cluster()
    monkeypatch.setattr(executor, "Connection", lambda *given: made)
    monkeypatch.setattr(executor, "time", SimpleNamespace(monotonic=lambda: made.now))
    monkeypatch.setattr(executor, "PULL_SECONDS", 0.0)
    monkeypatch.setattr(executor.ClusterRun, "pull_seconds", 0.0)
    monkeypatch.setattr(executors, "POLL_SECONDS", 0.0)
    return made


def leased(store, **more):
    (made,) = store.create([RUN], "a", **more)
    return store.leases.acquire(made.id, this_process())


@pytest.fixture
def run(store):
    return leased(store)


@pytest.fixture
def ray(cluster):
    return executor.RayCluster("ray://lab-1:10001")


def row(event, number):
    values = {**vars(event), "cursor": number, "kind": type(event).__name__.lower()}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


STARTED = run_events.started(3)
DONE = run_events.done(1)
ROWS = [row(STARTED, 1), row(run_events.step(1, 1.0), 2), row(DONE, 3)]
LOST = Update(lost="Node lab-1 was lost.")


def checkpoint(folder, step):
    made = folder / "checkpoints" / f"checkpoint-{step}"
    made.mkdir(parents=True)
    (made / checkpoints.LAST_WRITTEN).write_text("{}")
    checkpoints.write_checksums(made)
    return made


def test_a_run_is_left_after_three_losses_with_the_reason_and_can_be_resumed(store, run, cluster, ray):
    cluster.updates = [Update(node="lab-1"), LOST]
    supervise(store, run, ray)
    ended = store.get(run.id)
    assert (ended.state, ended.is_resumable) == ("interrupted", True)
    assert ended.reason.startswith("Node lab-1 was lost. It had gone on elsewhere 3 times before.")
    assert [one.order.attempt for one in cluster.asked] == [1, 1, 2, 3, 4]
    assert cluster.released == [f"{run.id}-{attempt}" for attempt in (1, 2, 3, 4, 4)]


def test_the_next_attempt_begins_at_the_newest_checkpoint_that_is_here(store, run, cluster, ray):
    folder = store.folder(run.id)
    checkpoint(folder, 5)
    kept = checkpoint(folder, 10)
    cluster.updates = [Update(node="lab-1"), LOST, Update(rows=ROWS, last=3, node="lab-2", state="finished")]
    supervise(store, run, ray)
    files = cluster.asked[-1].order.files
    assert files[f"runs/{run.id}/checkpoints/checkpoint-10.zip"] == kept
    assert not any("checkpoint-5" in name for name in files)
    assert cluster.asked[-1].create and cluster.asked[-1].checkpoint == "checkpoint-10"
    ended = store.get(run.id)
    assert ended.state == "finished"
    assert (ended.result["attempt"], ended.result["node"]) == (2, "lab-2")


def test_a_run_that_the_cluster_knows_is_followed_and_one_that_it_does_not_begins_anew(
    store, run, cluster, ray
):
    store.append(run.id, Placed(4, "lab-1"), run.epoch)
    unknown = Update(lost="The cluster does not know this run any more.")
    cluster.updates = [unknown, Update(rows=ROWS, last=3, state="finished")]
    supervise(store, run, ray)
    first, second = cluster.asked
    assert (first.order.attempt, first.create) == (4, False)
    assert (second.order.attempt, second.create) == (5, True)
    assert not store.rows(run.id, kinds=["note"])[0], "nothing was lost that anybody would miss"


def test_who_owns_a_run_does_not_leave_with_it(store, cluster, ray):
    run = leased(store, visitor=VISITOR)
    facts = json.loads(ray.order(store, run, 1, None).files[f"runs/{run.id}/run.json"])
    assert facts["id"] == run.id and not {"token_hash", "visitor"} & set(facts)


def test_stop_is_asked_for_with_each_pull(store, run, cluster, ray):
    stopped = Update(last=0, node="lab-1", state="stopped", reason="Stopped early.")
    cluster.updates = [Update(node="lab-1"), stopped]
    store.ask_to_stop(run.id)
    supervise(store, run, ray)
    assert all(one.stop for one in cluster.asked)
    assert (store.get(run.id).state, store.get(run.id).reason) == ("stopped", "Stopped early.")


def test_a_visitor_whose_runs_used_up_the_time_has_them_stopped(store, cluster, ray, monkeypatch):
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("CDVFT_BUDGET_SECONDS", "40")
    run = leased(store, visitor=VISITOR)
    store.spending.charge(VISITOR, "training", 15)  # another run of theirs
    cluster.takes = [0, 15, 15]
    cluster.updates = [*[Update(node="lab-1")] * 4, Update(node="lab-1", state="stopped")]
    supervise(store, run, ray)
    assert store.state(run.id) == "stopped"
    assert [one.stop for one in cluster.asked] == [False, False, False, False, True]
    assert sum(seconds for _, seconds in store.spending.since(VISITOR, 0)) == 15 + 30
    assert any("Resume goes on" in one["text"] for one in store.rows(run.id, kinds=["note"])[0])


def test_a_visitor_pays_for_the_time_on_nodes_and_not_for_the_wait(store, cluster, ray):
    ended = Update(rows=ROWS, last=3, node="lab-2", state="finished")
    cluster.takes = [100, 0, 7, 200, 0, 5]
    cluster.updates = [Update(), Update(node="lab-1"), LOST, Update(), Update(node="lab-2"), ended]
    run = leased(store, visitor=VISITOR)
    supervise(store, run, ray)
    assert store.state(run.id) == "finished" and cluster.now == 312
    assert sum(seconds for _, seconds in store.spending.since(VISITOR, 0)) == 7 + 5
    assert store.spending.running(VISITOR) == 0


def test_when_the_program_ends_the_run_is_left_and_a_program_that_begins_takes_it_up(
    store, run, cluster, ray
):
    cluster.updates = [Update(node="lab-1")]
    outcome = supervise(store, run, ray, closing=lambda: bool(cluster.asked))
    assert outcome == ("interrupted", LEFT_ON_CLUSTER)
    store.set_state(run.id, *outcome, epoch=run.epoch)
    assert [one.id for one in ray.left(store)] == [run.id]
    store.leases.acquire(run.id, this_process())
    store.set_state(run.id, "interrupted", "Somebody else trained it.")
    assert ray.left(store) == []


def test_benchmarks_hear_of_runs_on_a_cluster_what_they_hear_of_those_here(monkeypatch):
    monkeypatch.setattr(train_command, "on_cluster", lambda address: InProcess(cluster_trainer.train))
    kept = []
    train_each([settings(1), settings(2)], kept.append, "ray://lab-1:10001")
    for one, asked in zip(kept, (settings(1), settings(2)), strict=True):
        assert one.settings == asked
        assert [event.loss for event in one.events if isinstance(event, Step)] == expected_losses(asked)
        assert one.last(Done).metric == 0.75 and not one.failed
        assert one.times == sorted(one.times) and one.times[-1] <= one.seconds


def test_as_many_train_as_there_is_room_for_on_nodes_that_may(cluster, ray, monkeypatch):
    cluster.alive = [
        ClusterNode("1", "head", {"memory": 1e9}, None),
        ClusterNode("2", "lab-1", {"CPU": 8.0, "GPU": 2.0}, None),
        ClusterNode("3", "lab-2", {"CPU": 8.0, "GPU": 1.0}, None),
        ClusterNode("4", "old", {"CPU": 8.0, "GPU": 8.0}, "It has torch 2.6.0."),
    ]
    assert (ray.runs_at_once(), ray.resources()) == (3, {"CPU": 1, "GPU": 1})
    monkeypatch.setenv("CDVFT_RUN_GPUS", "0.5")
    monkeypatch.setenv("CDVFT_RUN_CPUS", "2")
    assert ray.runs_at_once() == 6
    monkeypatch.setenv("CDVFT_RUN_RESOURCES", "a100=1")
    assert ray.runs_at_once() == 1, "for a cluster that grows when something waits"


@pytest.mark.parametrize(
    ("variable", "values", "refusal"),
    [
        ("CDVFT_CLUSTER", "lab-1, http://lab-1:10001, ray://lab-1, ray://lab 1:10001, auto:1x",
         "CDVFT_CLUSTER: got .* it is ray://host:10001"),
        ("CDVFT_RUN_RESOURCES", "a100, =1, a100=x, a100=-1, a100=0", "CDVFT_RUN_RESOURCES"),
    ],
)  # fmt: skip
def test_what_is_no_address_or_no_name_with_an_amount_is_refused(monkeypatch, variable, values, refusal):
    for value in values.split(", "):
        monkeypatch.setenv(variable, value)
        with pytest.raises(InvalidChoice, match=refusal):
            environment()


def test_a_node_with_other_versions_is_told_by_what_differs():
    here = connection._installed_versions()(connection.PACKAGES)
    assert mismatch("lab-2", here) is None
    assert mismatch("lab-2", {**here, "torch": f"{here['torch'].partition('+')[0]}+cu130"}) is None
    told = mismatch("lab-2", {**here, "torch": "2.6.0", "cdvft": ""})
    assert told.startswith("Node lab-2 cannot train: it has cdvft not at all in place of")
    assert "torch 2.6.0 in place of" in told


def test_room_is_whole_runs():
    lab = ClusterNode("1", "lab-1", {"CPU": 8.0, "GPU": 1.0}, None)
    assert fits({"CPU": 1, "GPU": 0.1}, lab) == 8
    assert fits({"CPU": 1, "GPU": 0.3}, lab) == 3
    assert fits({"CPU": 1, "TPU": 1}, lab) == 0


def test_what_is_packed_is_unpacked_the_same_and_leads_nowhere_else(tmp_path):
    source = checkpoint(tmp_path / "there", 5)
    packed = tmp_path / "here" / "checkpoint-5.zip"
    transfer.pack(source, packed)
    transfer.unpack(packed)
    assert checkpoints.newest(packed.parent)[0] == packed.with_suffix("") and not packed.exists()
    (tmp_path / "nothing").mkdir()
    transfer.pack(tmp_path / "nothing", tmp_path / "empty.zip")
    transfer.unpack(tmp_path / "empty.zip")
    assert not list((tmp_path / "empty").iterdir())
    evil = tmp_path / "evil.zip"
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("../../outside", "x")
    transfer.unpack(evil)
    assert not list(tmp_path.parent.glob("outside")) and (tmp_path / "evil" / "outside").is_file()


def test_a_node_puts_nothing_else_into_a_runs_folder():
    for name in ("../run.json", "run.json", "rows.jsonl", "snapshots/../../x", "adapter/x", "x"):
        assert not transfer.COMES_BACK.fullmatch(name), name
    assert not transfer.COMES_BACK.fullmatch("checkpoints/checkpoint-1/../..")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "runs/../../x"])
def test_a_name_that_leads_out_of_the_nodes_folder_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="leads out"):
        transfer.inside(tmp_path, name)


def test_a_large_checkpoint_is_stored_and_found_again(tmp_path):
    storage, folder = f"file://{tmp_path}/lab", tmp_path / "run"
    for step in (5, 10):
        made = checkpoint(folder, step)
        packed = tmp_path / f"{step}.zip"
        transfer.pack(made, packed)
        transfer.store_checkpoint(packed, step, storage, folder)
    assert [path.name for path in (tmp_path / "lab").iterdir()] == ["checkpoint-10.zip"]
    there = tmp_path / "another node"
    (there / "checkpoints").mkdir(parents=True)
    (there / transfer.STORED).write_text((folder / transfer.STORED).read_text())
    assert transfer.newest_step(there) == 10
    transfer.fetch_stored(there)
    assert checkpoints.newest(there / "checkpoints")[0] == there / "checkpoints" / "checkpoint-10"


@pytest.fixture
def on_a_node(store, ray, tmp_path, monkeypatch):
    """`on_a_node(storage)`: a run that trains as on a node of a cluster, in this process."""
    monkeypatch.setattr(transfer.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(node.children, "import_nothing", lambda: None)
    made = []

    def begin(storage=""):
        (run,) = store.create([settings(1)], "a")
        order = ray.order(store, run, 1, None)
        order = replace(order, storage=storage, trainer="cluster_trainer:train")
        there = node.NodeRun(order)
        for name, content in order.files.items():
            there.write(name, 0, content.encode())
        there.begin(None)
        made.append(there)
        return there

    yield begin
    for one in made:
        one.remove()


def told(there):
    """All that it tells until it has ended."""
    rows, files, last, newest, state = [], [], 0, "", None
    while state is None:
        update = there.update(last, newest, 5)
        rows, files, last = rows + update.rows, files + update.files, update.last
        newest, state = update.checkpoint, update.state
    return rows, files, state


def texts(rows):
    return " ".join(row["text"] for row in rows if row["kind"] == "note")


def test_what_a_node_tells_can_be_read_there_when_it_is_told(on_a_node):
    there = on_a_node()
    rows, files, state = told(there)
    steps = [row["step"] for row in rows if row["kind"] == "step"]
    assert state == "finished" and steps == list(range(1, 21))
    assert {"checkpoints/checkpoint-20", "adapter"} <= set(files)
    assert there.read("adapter", 0).startswith(b"PK") and there.read("adapter", 2**20) == b""
    there.begin(None)  # asked again by a page that was started anew
    assert told(there)[0] == rows


def test_checkpoints_too_large_to_travel_go_to_the_storage(on_a_node, tmp_path, monkeypatch):
    monkeypatch.setattr(node, "MAX_CHECKPOINT", 0)
    there = on_a_node(f"{tmp_path}/lab")
    rows, files, state = told(there)
    assert state == "finished" and "are kept in CDVFT_STORAGE" in texts(rows)
    assert transfer.STORED in files
    assert not any(name.startswith("checkpoints/checkpoint") for name in files)
    assert [path.name for path in (tmp_path / "lab").rglob("*.zip")] == ["checkpoint-20.zip"]
    there.remove()
    assert not list((tmp_path / "lab").rglob("*.zip")), "the run has finished, and is not resumed"


def test_without_a_storage_the_run_says_what_a_lost_node_costs_and_packs_none(on_a_node, monkeypatch):
    packed = []
    monkeypatch.setattr(node, "MAX_CHECKPOINT", 0)
    monkeypatch.setattr(node, "pack", lambda folder, place: packed.append(folder.name))
    rows, files, state = told(on_a_node())
    assert not packed, "which would take as much of the node's disk again"
    assert state == "finished" and texts(rows).count("set CDVFT_STORAGE") == 1
    assert not any(name.startswith("checkpoints") for name in files)


def test_an_end_that_a_full_disk_refuses_is_told_once_there_is_room(on_a_node, monkeypatch):
    keep, refused = RunStore.set_state, []

    def full_at_first(*arguments, **named):
        if len(refused) < 3:
            refused.append(StoreError("The disk is full."))
            raise refused[-1]
        return keep(*arguments, **named)

    monkeypatch.setattr(RunStore, "set_state", full_at_first)
    assert told(on_a_node())[2] == "finished" and len(refused) == 3


def test_a_folder_is_packed_once_and_whole_for_all_who_ask_for_its_pieces(on_a_node, monkeypatch):
    there, packed, usual = on_a_node(), [], node.pack
    told(there)
    (there._folder / "learned").mkdir()
    (there._folder / "learned" / "weights").write_bytes(bytes(3 * transfer.PIECE))

    def slowly(source, into):
        packed.append(into)
        into.parent.mkdir(parents=True, exist_ok=True)
        into.write_bytes(b"PK")
        time.sleep(0.2)
        usual(source, into)

    monkeypatch.setattr(node, "pack", slowly)
    with ThreadPoolExecutor(8) as threads:
        pieces = list(threads.map(lambda place: there.read("learned", place * transfer.PIECE), range(8)))
    assert len(packed) == 1
    assert zipfile.is_zipfile(io.BytesIO(b"".join(pieces)))


def test_what_a_killed_process_left_on_a_node_goes_with_the_next_run(on_a_node):
    left = on_a_node()._root.with_name("f" * 32 + "-1")
    left.mkdir()
    (left / "rows.arrow").write_text("somebody's rows")
    (left / transfer.HOLDER).write_text(f"999999999:1.00@{machine()}")
    on_a_node()
    assert not left.exists()


def test_where_ray_is_not_installed_the_address_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setattr(connection, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'cdvft-studio\[app,cluster\]'"):
        executor.RayCluster("auto")


def test_a_child_that_does_not_answer_is_no_news(monkeypatch):
    silent = SimpleNamespace(alive=lambda: True, has_message=lambda: False, end=lambda: None)
    monkeypatch.setattr(connection, "WorkerProcess", lambda *given: silent)
    asked = Connection("ray://lab-1:10001")
    order = Order("a" * 32, 1, {}, None, {}, "", "", "")
    for _ in range(3):
        with pytest.raises(NoNews):
            asked.release(order)
