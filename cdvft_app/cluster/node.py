"""A run on a node of the cluster: what the actor does that trains it there.

The run comes as the files that it needs into a store of its own, in a folder of the node. There it trains as
on any machine, and that store's rows are the spool from which its follower takes events, by their numbers.
Everything is sent in pieces that Ray keeps out of its object store, so that a full one hinders nothing.
"""

from __future__ import annotations

import os
import platform
import shutil
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from cdvft_app.cluster.transfer import (
    MAX_CHECKPOINT,
    PACKED,
    PIECE,
    STORED,
    Order,
    Update,
    fetch_stored,
    inside,
    own_folder,
    pack,
    remove_stored,
    store_checkpoint,
    unpack,
)
from cdvft_app.events import ADAPTER, Note
from cdvft_app.files import folder_bytes
from cdvft_app.store import predictions
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import LeaseLost, RunRecord, StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL
from cdvft_app.training import checkpoints, children
from cdvft_app.training.checkpoints import CHECKPOINTS
from cdvft_app.training.executors import (
    KEPT_CHECKPOINTS,
    LocalProcesses,
    train_to_end,
)
from cdvft_app.training.run import (
    ERROR_FILE,
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
NOT_STORED = "A checkpoint could not be put into CDVFT_STORAGE ({}). If the node is lost, it is lost with it."


class NodeRun:
    """One attempt of one run: an actor of Ray, which calls its methods in several threads.

    Args:
        order: of it; its files are written later.
    """

    def __init__(self, order: Order) -> None:
        children.import_nothing()
        if order.threads:
            os.environ["OMP_NUM_THREADS"] = order.threads
        self._id = order.run_id
        self._executor = LocalProcesses(order.trainer)
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
