"""A finished run's predictions for the held-out rows, in one safetensors file in the run's folder.

Tensors: "rows" (N), each row's index among the evaluation rows as they were loaded, ascending; "labels" (N),
class numbers or real targets; "outputs" (N, classes), probabilities, or (N, 1), the numbers of a regression.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from cdvft_app.store import written_answers
from cdvft_app.store.written_answers import WrittenAnswers

FILE = "predictions.safetensors"
MAX_ROWS = 20_000
MAX_NUMBERS = 4 * 2**20  # 16 MiB of outputs
NAMES = {"rows", "labels", "outputs"}


@dataclass(frozen=True)
class Predictions:
    """Predictions for N rows. A regression has one output a row and real labels."""

    rows: np.ndarray
    labels: np.ndarray
    outputs: np.ndarray

    @property
    def classes(self) -> np.ndarray:
        """(N) the most probable class of each row."""
        return self.outputs.argmax(-1)

    @property
    def correct(self) -> np.ndarray:
        """(N) whether that is the label."""
        return self.classes == self.labels


def write(folder: Path, rows: np.ndarray, labels: np.ndarray, outputs: np.ndarray) -> int:
    """Save predictions, in any order; of a large set those of the first rows, which were drawn at random.

    Returns how many were kept.
    """
    order = np.argsort(rows)[: min(MAX_ROWS, MAX_NUMBERS // outputs.shape[1])]
    kept = {
        "rows": rows[order].astype(np.int64),
        "labels": labels[order].astype(np.float32 if labels.dtype.kind == "f" else np.int64),
        "outputs": np.ascontiguousarray(outputs[order], dtype=np.float32),
    }
    unfinished = folder / f"{FILE}.unfinished"
    save_file(kept, unfinished)
    unfinished.chmod(0o600)
    os.replace(unfinished, folder / FILE)
    return len(order)


def read(folder: Path) -> Predictions | None:
    """What `write` saved; None where no such file can be read."""
    try:
        kept = load_file(folder / FILE)
    except (OSError, SafetensorError):
        return None
    return (
        Predictions(**kept) if set(kept) == NAMES and len({len(one) for one in kept.values()}) == 1 else None
    )


def read_either(folder: Path) -> Predictions | WrittenAnswers | None:
    """The predictions of a run, or the answers of one that writes: both have rows, labels and correct."""
    return read(folder) or written_answers.read(folder)
