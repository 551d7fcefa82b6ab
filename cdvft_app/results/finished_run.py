"""Finished runs of the store, and what their weights are."""

from __future__ import annotations

import json
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cdvft_app import catalog
from cdvft_app.catalog import Plan
from cdvft_app.catalog.sources import files_of
from cdvft_app.errors import UserError
from cdvft_app.events import ADAPTER
from cdvft_app.progress import Progress, never, silent
from cdvft_app.settings import InvalidChoice
from cdvft_app.store.records import RunRecord, label_in
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import USABLE
from cdvft_app.training.inference_service import message_of

if TYPE_CHECKING:
    from torch import nn

    from cdvft_app.tasks.base import Task


class ResultsError(UserError):
    """A finished run cannot be used as requested."""


Weights = Literal["adapter", "head", "whole", "merged"]
"""What a folder has: an adapter with a head, a head, the whole model, or one that needs no base model."""

TASK_FILE = "task.json"  # of tasks/saved.py, which loads torch
BASE = "base"
"""The folder of the base model in an exported folder, if it cannot be fetched elsewhere."""
NOT_FINISHED = "“{name}” is {state}. A run can be used once it is {usable}."
NO_WEIGHTS = "“{name}” has no weights. Train it again."
NOT_LOADABLE = "“{name}” cannot be loaded with this version: {error}"
UNREADABLE = "The weights of {label} in “{name}” cannot be read: {error} Train it again."


@dataclass(frozen=True)
class FinishedRun:
    """A run with its weights in `folder`; its label differs from those of `race`, the runs beside it.

    `exported_as` is what an exported folder has, None for a run of the store.
    """

    record: RunRecord
    plan: Plan
    folder: Path
    race: tuple[RunRecord, ...] = ()
    exported_as: Weights | None = None

    @property
    def weights(self) -> Weights:
        of_methods: dict[str, Weights] = {"head": "head", "full": "whole"}
        return self.exported_as or of_methods.get(self.record.method, "adapter")

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes' names in the order of the outputs; empty for a regression."""
        with suppress(OSError, ValueError, KeyError):  # recorded runs have no such file
            return tuple(json.loads((self.folder / TASK_FILE).read_text(encoding="utf-8"))["labels"])
        return self.plan.dataset.labels

    @property
    def label(self) -> str:
        """The method with its settings: LoRA r = 8."""
        return label_in(self.record, self.race)

    @property
    def trained_at(self) -> int:
        """When the weights were written, which tells a resumed run from what it was before."""
        return trained_at(self.folder)


def trained_at(folder: Path) -> int:
    """Return when the weights in a folder were written, in nanoseconds since 1970, or 0 without weights."""
    return max((file.stat().st_mtime_ns for file in folder.glob("*.safetensors")), default=0)


def slug(text: str) -> str:
    """Return the text as lower-case ASCII letters, digits and hyphens, for names of files."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:40].strip("-")


def find(store: RunStore, run_id: object) -> FinishedRun:
    """Return the finished run with this id.

    Raises:
        UnknownRun: No run has this id.
        ResultsError: The run is not finished, has no weights, or cannot be loaded.
    """
    record = store.require(run_id)
    if record.state not in USABLE:
        usable = " or ".join(USABLE)
        raise ResultsError(NOT_FINISHED.format(name=record.name, state=record.state, usable=usable))
    folder = store.folder(record.id) / ADAPTER
    if not any(folder.glob("*.safetensors")):
        raise ResultsError(NO_WEIGHTS.format(name=record.name))
    try:
        plan = catalog.resolve(record.settings)
    except InvalidChoice as error:
        raise ResultsError(NOT_LOADABLE.format(name=record.name, error=error)) from None
    return FinishedRun(record, plan, folder, () if record.sweep else tuple(store.group(record.group_id)))


def prepare(run: FinishedRun, progress: Progress = silent) -> None:
    """Fetch the run's base model if needed.

    Raises:
        DownloadFailed: It cannot be fetched.
    """
    files_of(run.plan.model, progress, never)


def load(run: FinishedRun, progress: Progress = silent) -> tuple[Task, nn.Module]:
    """Return the run's task, and the model as its method built it, with the trained weights.

    Raises:
        DownloadFailed: The base model cannot be fetched.
        ResultsError: The weights cannot be read.
    """
    from safetensors import SafetensorError

    from cdvft_app.training import trainable

    try:
        return trainable.load_trained(run.plan, run.folder, progress)
    except (ValueError, KeyError, RuntimeError, OSError, SafetensorError) as error:
        raise ResultsError(
            UNREADABLE.format(label=run.label, name=run.record.name, error=message_of(error, 200))
        ) from error
