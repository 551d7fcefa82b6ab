"""A run that has ended, out of the store, and what its weights stand for."""

from __future__ import annotations

import json
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

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
    """It cannot be done; the text is a sentence for the person who asked."""


Weights = Literal["adapter", "head", "whole"]
"""What a run keeps: an adapter with a head, the head alone, or the whole model."""

TASK_FILE = "task.json"  # of tasks/saved.py, which loads torch
MAX_ROWS = 100_000  # of a history


@dataclass(frozen=True)
class FinishedRun:
    """`folder` holds what was trained; `race` are the runs beside it, from whose labels its own differs."""

    record: RunRecord
    plan: Plan
    folder: Path
    race: tuple[RunRecord, ...] = ()

    @property
    def weights(self) -> Weights:
        return {"head": "head", "full": "whole"}.get(self.record.method, "adapter")  # type: ignore[return-value]

    @property
    def colour(self) -> str:
        """The method's on white, "#rrggbb"."""
        return self.record.settings.method.light

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes' names in the order of the outputs; empty for a regression."""
        with suppress(OSError, ValueError, KeyError):  # of a version that kept no such file
            return tuple(json.loads((self.folder / TASK_FILE).read_text(encoding="utf-8"))["labels"])
        return self.plan.dataset.labels

    @property
    def label(self) -> str:
        """The method with its settings: LoRA r = 8."""
        return label_in(self.record, self.race)

    @property
    def trained_at(self) -> int:
        """When the weights were written (`trained_at`): it tells a resumed run from what it was before."""
        return trained_at(self.folder)


def trained_at(folder: Path) -> int:
    """Return when the weights in a folder were written, in nanoseconds since 1970; 0 where there are none."""
    return max((file.stat().st_mtime_ns for file in folder.glob("*.safetensors")), default=0)


def slug(text: str) -> str:
    """Return the text as lower-case ASCII letters, digits and hyphens, for names of files."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:40].strip("-")


def find(store: RunStore, run_id: object) -> FinishedRun:
    """Return the run of this id, if it has ended and kept its weights.

    Raises:
        UnknownRun: there is none.
        ResultsError: it keeps nothing that could be used; says why.
    """
    record = store.require(run_id)
    if record.state not in USABLE:
        raise ResultsError(
            f"“{record.name}” is {record.state}; it can be used once it is {' or '.join(USABLE)}."
        )
    folder = store.folder(record.id) / ADAPTER
    if not any(folder.glob("*.safetensors")):
        raise ResultsError(f"“{record.name}” keeps no weights; train it again.")
    try:
        plan = catalog.resolve(record.settings)
    except InvalidChoice as error:
        raise ResultsError(f"“{record.name}” cannot be loaded here any more: {error}") from None
    return FinishedRun(record, plan, folder, () if record.sweep else tuple(store.group(record.group_id)))


def losses(store: RunStore, run: FinishedRun) -> list[dict[str, Any]]:
    """Return the rows of the run's steps and evaluations."""
    return store.rows(run.record.id, kinds=("step", "evaluation"), limit=MAX_ROWS)[0]


def prepare(run: FinishedRun, progress: Progress = silent) -> None:
    """Fetch its pretrained model where it is not here yet.

    Raises:
        DownloadFailed: it cannot be had; why, and what to do.
    """
    files_of(run.plan.model, progress, never)


def load(run: FinishedRun, progress: Progress = silent) -> tuple[Task, nn.Module]:
    """Return the run's task, and the model as its method built it, with the trained weights.

    Raises:
        DownloadFailed: the pretrained model cannot be had.
        ResultsError: what was trained cannot be read.
    """
    from safetensors import SafetensorError

    from cdvft_app.training import trainable

    try:
        return trainable.load_trained(run.plan, run.folder, progress)
    except (ValueError, KeyError, RuntimeError, OSError, SafetensorError) as error:
        raise ResultsError(
            f"What “{run.record.name}” learned cannot be read: {message_of(error, 200)} Train it again."
        ) from error
