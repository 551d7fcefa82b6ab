"""A run on a node of a Ray cluster: the actor that trains it there, and its messages to the app."""

from __future__ import annotations

import io
import os
import platform
import re
import shutil
import tempfile
import threading
import time
import traceback
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cdvft_app.catalog import libraries
from cdvft_app.events import ADAPTER, Event, Halt, Note, Snapshot, TrainingPaused, TrainingStopped, encode
from cdvft_app.files import folder_bytes, replacing, replacing_folder
from cdvft_app.settings import RunSettings
from cdvft_app.store import predictions, processes
from cdvft_app.training import checkpoints
from cdvft_app.training.checkpoints import CHECKPOINTS
from cdvft_app.training.run import ERROR_FILE, NOT_BEGUN, StopConditions, reason

MAX_EVENTS = 300  # per answer
MAX_CHECKPOINT = 64 * 2**20  # bytes; a larger one stays on the node
KEPT_SECONDS = 24 * 3600.0  # an ended run waits this long for its follower
HOLDER = "holder"  # in a run's folder: the process that made it
AT_THE_END = (ADAPTER, predictions.FILE, predictions.ANSWERS_FILE, ERROR_FILE)
# The only files that the app takes from a node.
COMES_BACK = re.compile(
    r"snapshots/step-\d{6,9}\.safetensors|checkpoints/checkpoint-\d{1,9}|adapter"
    r"|predictions\.safetensors|written_answers\.jsonl|error\.txt",
    re.ASCII,
)
TOO_LARGE = (
    "A checkpoint of this run has {size:.0f} MB. Checkpoints of more than 64 MB stay on the node. If the "
    "node is lost, the run starts again."
)


@dataclass(frozen=True)
class Order:
    """One attempt of a run.

    Attributes:
        run_id: The run.
        attempt: Its number, from 1.
        settings: The run's settings as JSON.
        files: Files or folders of this machine, by their names in the node's RUNS_DIR.
        is_resumed: Whether `files` contains a checkpoint.
        limit: Seconds after which the run fails with a checkpoint.
        resources: Requested from a node: CPU, GPU, and the cluster's own.
        threads: OMP_NUM_THREADS; empty for Ray's default.
        trainer: Import path of a `Train`.
    """

    run_id: str
    attempt: int
    settings: str
    files: Mapping[str, Path]
    is_resumed: bool
    limit: float | None
    resources: Mapping[str, float]
    threads: str
    trainer: str

    @property
    def name(self) -> str:
        """The actor's name."""
        return f"{self.run_id}-{self.attempt}"


@dataclass
class Update:
    """What is new of a run.

    Attributes:
        rows: Encoded events, in order.
        last: The number of events so far.
        files: Names of files and folders in the run's folder.
        checkpoint: The newest checkpoint.
        node: Where the run trains; empty while it waits.
        state: None until the run has ended.
        reason: Why it ended.
        lost: Why the attempt is over without an end.
    """

    rows: Sequence[dict[str, Any]] = ()
    last: int = 0
    files: list[str] = field(default_factory=list)
    checkpoint: str = ""
    node: str = ""
    state: str | None = None
    reason: str = ""
    lost: str | None = None


class NodeRun:
    """Train one attempt of a run. Ray calls the methods in several threads."""

    def __init__(self, order: Order) -> None:
        if order.threads:
            os.environ["OMP_NUM_THREADS"] = order.threads
        _remove_orphans()
        self._order = order
        self._root = Path(tempfile.mkdtemp(prefix="cdvft-run-", suffix=f"-{order.attempt}"))
        (self._root / HOLDER).write_text(processes.this_process())
        self._folder = self._root / "runs" / order.run_id
        self._rows: list[dict[str, Any]] = []
        self._state, self._reason = "", ""
        self._asked = time.monotonic()
        self._has_begun = self._is_stopping = self._is_too_large = False

    def begun(self) -> tuple[str, bool]:
        """Return the node's name, and whether the run has begun."""
        return platform.node(), self._has_begun

    def begin(self, files: Mapping[str, bytes]) -> None:
        """Store the files, given by their names in RUNS_DIR, and start to train."""
        for name, content in files.items():
            place_file(self._root / name, content)
        self._folder.mkdir(parents=True, exist_ok=True)
        os.environ["RUNS_DIR"] = str(self._root)  # uploaded datasets are read from there
        self._has_begun = True
        threading.Thread(target=self._train, daemon=True).start()

    def stop(self) -> None:
        """Stop after the current step, with an adapter."""
        self._is_stopping = True

    def update(self, after: int, checkpoint: str) -> Update:
        """Return the events after the first `after`, and a checkpoint newer than the follower's."""
        self._asked, state, why = time.monotonic(), self._state, self._reason  # the end before the events
        rows = self._rows[after : after + MAX_EVENTS]
        last = after + len(rows)
        files = [row["file"] for row in rows if row["kind"] == "snapshot"]
        newest = self._newest_checkpoint()
        if newest and newest != checkpoint:
            files.append(f"{CHECKPOINTS}/{newest}")
        has_ended = bool(state) and last == len(self._rows)
        if has_ended:
            files += [name for name in AT_THE_END if (self._folder / name).exists()]
        return Update(rows, last, files, newest, platform.node(), state if has_ended else None, why)

    def read(self, name: str) -> bytes | None:
        """Return a file, or a folder as a zip; None if it is gone."""
        place = self._folder / name
        if not COMES_BACK.fullmatch(name):
            return None
        with suppress(FileNotFoundError):
            return packed(place)
        return None

    def remove(self) -> None:
        """Delete the run's files on this node."""
        shutil.rmtree(self._root, ignore_errors=True)

    def _train(self) -> None:
        order, stop = self._order, StopConditions(self._order.limit, self._should_stop)
        try:
            train = libraries.resolve(order.trainer)
            settings = RunSettings.model_validate_json(order.settings)
            done = train(settings, self._hear, stop, self._folder, resume=order.is_resumed)
            ended = done.state, ""
        except TrainingStopped:
            ended = "stopped", NOT_BEGUN
        except TrainingPaused:
            ended = stop.outcome or ("interrupted", "")
        except BaseException as error:  # SystemExit included
            with suppress(OSError):
                (self._folder / ERROR_FILE).write_text("".join(traceback.format_exception(error)))
            ended = "failed", reason(error)
        self._reason = ended[1]
        self._state = ended[0]
        while time.monotonic() - self._asked < KEPT_SECONDS:
            time.sleep(60)
        self.remove()
        os._exit(0)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Snapshot) and not (self._folder / event.file).is_file():
            return
        self._rows.append({"kind": type(event).__name__.lower(), **encode(event)})

    def _should_stop(self) -> Halt:
        return Halt.STOP if self._is_stopping else Halt.NO

    def _newest_checkpoint(self) -> str:
        """Return the newest complete checkpoint that is small enough to send."""
        for folder in reversed(checkpoints.in_order(self._folder / CHECKPOINTS)):
            if (folder / checkpoints.CHECKSUMS).is_file():
                size = folder_bytes(folder)
                if size <= MAX_CHECKPOINT:
                    return folder.name
                if not self._is_too_large:
                    self._is_too_large = True
                    self._hear(Note(TOO_LARGE.format(size=size / 1e6), "warning"))
        return ""


def packed(place: Path) -> bytes:
    """Return a file's bytes, or those of a zip of a folder."""
    if not place.is_dir():
        return place.read_bytes()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(place.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(place))
    return content.getvalue()


def place_file(place: Path, content: bytes) -> None:
    """Write what `packed` returned: a name without a suffix is a folder."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if place.suffix:
        with replacing(place) as new:
            new.write_bytes(content)
        return
    with replacing_folder(place) as folder, zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)  # zipfile rejects members outside the folder


def _remove_orphans() -> None:
    """Delete the folders of killed processes: they may contain somebody's data."""
    for left in Path(tempfile.gettempdir()).glob("cdvft-run-*"):
        with suppress(OSError):
            if processes.alive((left / HOLDER).read_text()) is False:
                shutil.rmtree(left, ignore_errors=True)
