"""A run on a node of the cluster: what the actor does that trains it there.

The run comes as the files that it needs into a store of its own, in a folder of the node. There it trains as
on any machine, and that store's rows are the spool from which its follower takes events, by their numbers.
Everything is sent in pieces that Ray keeps out of its object store, so that a full one hinders nothing.

A run of several processes is shared by nodes, by Ray Train's TorchTrainer, which starts and connects them.
The first process is on the node where the run's store is, and tells it all that happens; the others have
copies of the run's files on their own disks.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from cdvft_app.catalog import libraries
from cdvft_app.cluster.transfer import (
    MAX_CHECKPOINT,
    PACKED,
    PIECE,
    STORED,
    Order,
    Update,
    cause,
    fetch_stored,
    inside,
    own_folder,
    pack,
    remove_stored,
    store_checkpoint,
    unpack,
)
from cdvft_app.events import ADAPTER, Done, Halt, Note, Preparing, TrainingPaused
from cdvft_app.files import folder_bytes
from cdvft_app.store import predictions
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import LeaseLost, RunRecord, StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL
from cdvft_app.training import checkpoints, children, data_parallel
from cdvft_app.training.checkpoints import CHECKPOINTS
from cdvft_app.training.executors import (
    KEPT_CHECKPOINTS,
    STATUS_SECONDS,
    Executor,
    LocalProcesses,
    train_to_end,
)
from cdvft_app.training.run import (
    ERROR_FILE,
    NOT_BEGUN,
    OTHER_ENDED,
    StopConditions,
    end_run,
    join_run,
    reason,
    train_run,
)

MAX_ROWS = 300  # at a time
LOOK_SECONDS = 0.05  # between two looks for something new
KEPT_SECONDS = 24 * 3600.0  # so long a run that ended waits for somebody to take what it learned
AT_THE_END = (ADAPTER, predictions.FILE, predictions.ANSWERS_FILE, ERROR_FILE)
NOT_TAKEN = (
    "A checkpoint of this run has {size:.0f} MB, too much to send each time. If its node is lost, the run "
    "begins again; set CDVFT_STORAGE to a place that all nodes reach."
)
STORED_THERE = "Checkpoints of this run, of {size:.0f} MB, are kept in CDVFT_STORAGE."
ONE_LOST = "One of the processes that share it was lost."
WAITS = "The run waits for {} places on the cluster"
NOT_STORED = "A checkpoint could not be put into CDVFT_STORAGE ({}). If the node is lost, it is lost with it."


class NodeRun:
    """One attempt of one run: an actor of Ray, which calls its methods in several threads.

    Args:
        order: of it; its files are written later.
        refused: ids of the nodes that may not train.
    """

    def __init__(self, order: Order, refused: Sequence[str] = ()) -> None:
        children.import_nothing()
        if order.threads:
            os.environ["OMP_NUM_THREADS"] = order.threads
        self._id = order.run_id
        self._executor = SharedRuns(order, refused) if order.processes > 1 else LocalProcesses(order.trainer)
        self._storage = order.storage and f"{order.storage.rstrip('/')}/{order.run_id}/{order.attempt}"
        self._root = own_folder(order.name)
        self._folder = self._root / "runs" / order.run_id
        self._lock = threading.Lock()
        self._store: RunStore | None = None
        self._epoch = 0
        self._checkpoint, self._packs = "", list[Path]()  # the newest, and those that can be read
        self._stored = ""  # where the one is that is not transferred
        self._said: set[str] = set()
        self._has_ended = False
        self._asked = time.monotonic()

    def status(self) -> dict[str, Any]:
        """Return where it is, and whether it has begun."""
        return {"node": platform.node(), "begun": self._store is not None}

    def write(self, name: str, offset: int, piece: bytes) -> None:
        """Write a piece of a file that the run needs, by its name in this node's RUNS_DIR."""
        place = inside(self._root, name)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.seek(offset)  # pieces come in any order
            file.write(piece)

    def begin(self, limit: float | None) -> None:
        """Train it from its newest checkpoint on; once, however often it is asked.

        Args:
            limit: seconds after which it fails, with a checkpoint.
        """
        with self._lock:
            if self._store is not None:
                return
            for packed in self._folder.glob(f"{CHECKPOINTS}/*{PACKED}"):
                unpack(packed)
            fetch_stored(self._folder)
            store = RunStore(self._root)
            store.folders.take_in(store.folders.unknown())
            run = store.leases.acquire(self._id, this_process())
            known = checkpoints.newest(self._folder / CHECKPOINTS)[0]
            self._checkpoint = known.name if known else ""
            self._store, self._epoch = store, run.epoch
        for work in (self._keep_checkpoints, partial(self._train, store, run, limit)):
            threading.Thread(target=work, daemon=True).start()

    def _train(self, store: RunStore, run: RunRecord, limit: float | None) -> None:
        train_to_end(store, run, self._executor, limit)
        with suppress(OSError):
            self._look_for_checkpoint()
        self._has_ended = True
        while time.monotonic() - self._asked < KEPT_SECONDS:
            time.sleep(60)
        self.remove()
        os._exit(0)

    def _keep_checkpoints(self) -> None:
        while not self._has_ended:
            with suppress(OSError):  # the trainer has removed it meanwhile
                self._look_for_checkpoint()
            time.sleep(LOOK_SECONDS)

    def _look_for_checkpoint(self) -> None:
        """Pack the newest whole checkpoint, or store it, unless that is done."""
        found = [
            one
            for one in checkpoints.in_order(self._folder / CHECKPOINTS)
            if (one / checkpoints.CHECKSUMS).is_file()
        ]
        with self._lock:
            if not found or found[-1].name == self._checkpoint:
                return
            newest = found[-1]
            packed = self._packed(newest.name)
            size = folder_bytes(newest)  # packed they are as many
            if size <= MAX_CHECKPOINT:
                pack(newest, packed)
                self._packs.append(packed)
            elif self._storage:
                self._store_checkpoint(newest, packed, size)
            else:
                self._say(NOT_TAKEN.format(size=size / 1e6), "warning")
            self._checkpoint = newest.name
            while len(self._packs) > KEPT_CHECKPOINTS:  # one of them may just be read
                self._packs.pop(0).unlink(missing_ok=True)

    def _store_checkpoint(self, newest: Path, packed: Path, size: int) -> None:
        pack(newest, packed)
        try:
            self._stored = store_checkpoint(packed, checkpoints.step(newest), self._storage, self._folder)
            self._say(STORED_THERE.format(size=size / 1e6))
        except Exception as error:  # whatever the storage's own package raises
            self._say(NOT_STORED.format(str(error)[:200]), "warning")
        packed.unlink()

    def _packed(self, checkpoint: str) -> Path:
        return self._root / "outgoing" / f"{checkpoint}{PACKED}"

    def _say(self, text: str, kind: str = "info") -> None:
        """Tell the run's owner something once."""
        if text not in self._said and self._store is not None:
            self._said.add(text)
            with suppress(LeaseLost):
                self._store.append(self._id, Note(text, kind), self._epoch)

    def stop(self) -> None:
        """It ends within two steps, and keeps its adapter."""
        if self._store is not None:
            with suppress(StoreError):  # it has ended
                self._store.ask_to_stop(self._id)

    def update(self, after: int, checkpoint: str, wait: float) -> Update:
        """Return what is new after the row of number `after`, and beside the checkpoint that the follower
        has.

        Waits up to so many seconds for something.
        """
        store, end = self._store, time.monotonic() + wait
        assert store is not None
        while True:
            self._asked = time.monotonic()
            has_ended = self._has_ended  # before anything is read: what it told last is not missed
            rows, last = store.rows(self._id, after, limit=MAX_ROWS)
            files = [row["file"] for row in rows if row["kind"] == "snapshot"]
            newest = self._checkpoint
            files += self._of_checkpoint(newest) if newest != checkpoint else []
            ended = has_ended and last >= store.last_row(self._id)
            if ended:
                files += [name for name in AT_THE_END if (self._folder / name).exists()]
            if rows or files or ended or time.monotonic() > end:
                run = store.require(self._id)
                state = run.state if ended and run.state in FINAL else None
                return Update(rows, last, files, newest, platform.node(), state, run.reason or "")
            time.sleep(LOOK_SECONDS)

    def _of_checkpoint(self, newest: str) -> list[str]:
        if self._packed(newest).is_file():
            return [f"{CHECKPOINTS}/{newest}"]
        return [STORED] if (self._folder / STORED).is_file() else []

    def read(self, name: str, offset: int) -> bytes | None:
        """Return a piece of a file of the run, or of a folder as a zip; empty at its end. None: it is gone.

        So is a checkpoint in whose place newer ones have come.
        """
        place = inside(self._folder, name)
        if name.startswith(f"{CHECKPOINTS}/checkpoint-"):
            place = self._packed(place.name)
        elif place.is_dir():
            packed = self._packed(name)
            with self._lock:  # all pieces are asked for at the same time
                if not packed.is_file():
                    pack(place, packed)
            place = packed
        with suppress(FileNotFoundError), open(place, "rb") as file:
            file.seek(offset)
            return file.read(PIECE)
        return None

    def remove(self) -> None:
        """Remove the run from the node, as what it learned has been taken, and from the storage once it has
        finished."""
        if self._stored and self._store is not None and self._store.state(self._id) == "finished":
            remove_stored(self._stored)
        shutil.rmtree(self._root, ignore_errors=True)


# One run by processes on several nodes


class SharedRuns(Executor):
    """Has a run trained by as many processes as its order says; for use in an actor of Ray.

    Args:
        order: of the run; each process asks for its resources.
        refused: ids of the nodes that may not train.
    """

    def __init__(self, order: Order, refused: Sequence[str]) -> None:
        self._order, self._refused = order, refused

    def start(self, store: RunStore, run: RunRecord, limit: float | None = None) -> SharedRun:
        return SharedRun(store, run, limit, self._order, self._refused)


class SharedRun:
    """An `Execution`: it ends as `interrupted` where a process is lost, so that the run goes on elsewhere."""

    def __init__(
        self,
        store: RunStore,
        run: RunRecord,
        limit: float | None,
        order: Order,
        refused: Sequence[str],
    ) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._store, self._run, self._why, self._said = store, run, ONE_LOST, 0.0
        self._waits = WAITS.format(order.processes)
        here = ray.get_runtime_context().get_node_id()
        others = {"ray.io/node-id": f"!in({', '.join(refused)})"} if refused else {}
        places = [{"ray.io/node-id": here}, *[others] * (order.processes - 1)]
        config = {
            "root": str(store.root),
            "name": order.name,
            "run_id": run.id,
            "limit": limit,
            "trainer": order.trainer,
            "files": _packed(store.root),
        }
        fit: Any = ray.remote(_fit)  # in a process of its own, which can be killed
        there = NodeAffinitySchedulingStrategy(here, soft=False)
        self._fitting = fit.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(
            config, dict(order.resources), places, order.threads
        )

    def poll(self, seconds: float) -> bool:
        import ray

        ended, _ = ray.wait([self._fitting], timeout=seconds)
        if not ended:
            return self._wait()
        try:
            ray.get(self._fitting)
        except Exception as error:  # whatever Ray Train makes of what its processes raise
            self._why = f"{ONE_LOST} {cause(error)}"
        if self._store.state(self._run.id) not in FINAL:
            end_run(self._store, self._run, "interrupted", self._why)
        return True

    def _wait(self) -> bool:
        """Say now and then that its processes have no place; whether somebody stopped it before they did."""
        now, known = time.monotonic(), self._store.get(self._run.id)
        if known is None or known.process != self._run.process:  # the first process has joined
            return False
        if known.state == "stopping":
            self.stop()
            end_run(self._store, self._run, "stopped", NOT_BEGUN)
            return True
        if now - self._said > STATUS_SECONDS:
            self._said = now
            with suppress(LeaseLost):
                self._store.append(self._run.id, Preparing(self._waits), self._run.epoch)
        return False

    def stop(self) -> None:
        import ray

        ray.cancel(self._fitting, force=True)  # what it has started ends with it

    def reason(self) -> str:
        return self._why


def _packed(root: Path) -> bytes:
    """Return the run's files and its data, which each process but the first one has of its own."""
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder, "files.zip")
        pack(root, packed, of=("runs", "data"))
        return packed.read_bytes()


def _fit(
    config: dict[str, Any], resources: dict[str, float], places: list[dict[str, str]], threads: str
) -> None:
    import ray.train.torch

    of: Any = ray.train  # whose types are those of its first version
    scaling = of.ScalingConfig(
        num_workers=len(places),
        use_gpu=bool(resources.get("GPU")),
        resources_per_worker=resources,
        label_selector=places,
    )
    running = of.RunConfig(
        name=config["name"],
        storage_path=str(Path(config["root"], "ray-train")),  # where nothing is put: the store keeps all
        worker_runtime_env={"env_vars": {"OMP_NUM_THREADS": threads}} if threads else {},
    )
    of.torch.TorchTrainer(_work, train_loop_config=config, scaling_config=scaling, run_config=running).fit()


def _work(config: dict[str, Any]) -> None:
    """Do one process's share, in a thread of Ray Train's."""
    if data_parallel.rank() == 0:
        store, run = join_run(config["root"], config["run_id"])
        train_run(store, run, _paused_alone(config["trainer"]), StopConditions(config["limit"]))
        return
    root = own_folder(f"{config['name']}-{data_parallel.rank()}")
    try:
        packed = root / "files.zip"
        packed.write_bytes(config["files"])
        unpack(packed)
        files = packed.with_suffix("")
        os.environ["RUNS_DIR"] = str(files)
        data_parallel.follow(lambda: Halt.NO, config["trainer"], files / "runs" / config["run_id"])
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _paused_alone(trainer: str) -> Any:
    """Return the trainer of this name, which pauses the run where another of its processes is lost."""

    def train(*given: Any, **options: Any) -> Done:
        try:
            done: Done = libraries.resolve(trainer)(*given, **options)
            return done
        except Exception as error:
            if reason(error) == OTHER_ENDED:
                raise TrainingPaused from error
            raise

    return train
