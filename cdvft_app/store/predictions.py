"""What a finished run answers to the held-out rows, in one file in the run's folder.

Of a task with classes or numbers it is a safetensors file: "rows" (N), each row's index among the evaluation
rows as they were loaded, ascending; "labels" (N), class numbers or real targets; "outputs" (N, classes),
probabilities, or (N, 1), the numbers of a regression.

Of a generative task it is a file of JSON lines: a line is a `WrittenRow`; they ascend by row. Scores of a
row, each in 0..1, are named as the metrics of all rows are: exact_match, and field_f1 or chrf where the
data has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from cdvft_app.files import replacing
from cdvft_app.store.records import shortened

FILE = "predictions.safetensors"
ANSWERS_FILE = "written_answers.jsonl"
MAX_ROWS = 20_000
MAX_OF_TEXT = 8_000  # characters of a prompt or an answer
MAX_CHARACTERS = 16 * 2**20  # of all rows
MAX_NUMBERS = 4 * 2**20  # 16 MiB of outputs
NAMES = {"rows", "labels", "outputs"}


class WrittenRow(BaseModel):
    """A prompt, its place among the evaluation rows as they were loaded, the right and the written answer."""

    model_config = ConfigDict(frozen=True)

    row: int
    prompt: str
    expected: str
    written: str
    scores: dict[str, float]


@dataclass(frozen=True)
class WrittenAnswers:
    """The answers to N prompts."""

    entries: tuple[WrittenRow, ...]

    @property
    def rows(self) -> np.ndarray:
        """(N) the rows' indices, ascending."""
        return np.array([one.row for one in self.entries], dtype=np.int64)

    @property
    def labels(self) -> np.ndarray:
        """(N) the right answers as text."""
        return np.array([one.expected for one in self.entries], dtype=object)

    @property
    def correct(self) -> np.ndarray:
        """(N) whether the written answer is the right one."""
        return self.scores("exact_match") == 1

    def scores(self, name: str) -> np.ndarray:
        """Return (N) the score of each row.

        Raises:
            KeyError: the rows have no score of that name.
        """
        return np.array([one.scores[name] for one in self.entries], dtype=np.float64)


def write_answers(folder: Path, entries: Iterable[WrittenRow]) -> int:
    """Save answers, in any order; of a large set those of the first rows, which were drawn at random.

    Long texts are cut, after they were scored. Returns how many rows were kept.
    """
    lines: list[str] = []
    room = MAX_CHARACTERS
    for one in sorted(entries, key=lambda entry: entry.row)[:MAX_ROWS]:
        texts = {
            name: shortened(getattr(one, name), MAX_OF_TEXT) for name in ("prompt", "expected", "written")
        }
        line = one.model_copy(update=texts).model_dump_json()
        room -= len(line)
        if room < 0:
            break
        lines.append(line + "\n")
    with replacing(folder / ANSWERS_FILE, private=True) as new:
        new.write_text("".join(lines), encoding="utf-8")
    return len(lines)


def read_answers(folder: Path) -> WrittenAnswers | None:
    """Read what `write_answers` saved; return None where no such file can be read."""
    try:
        *lines, rest = (folder / ANSWERS_FILE).read_text(encoding="utf-8").split("\n")
        entries = tuple(WrittenRow.model_validate_json(line) for line in lines)
    except (OSError, ValueError, ValidationError):
        return None
    return None if rest else WrittenAnswers(entries)


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
        """(N) whether the most probable class is the label."""
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
    with replacing(folder / FILE, private=True) as new:
        save_file(kept, new)
    return len(order)


def read(folder: Path) -> Predictions | None:
    """Read what `write` saved; return None where no such file can be read."""
    try:
        kept = load_file(folder / FILE)
    except (OSError, SafetensorError):
        return None
    return (
        Predictions(**kept) if set(kept) == NAMES and len({len(one) for one in kept.values()}) == 1 else None
    )


def read_either(folder: Path) -> Predictions | WrittenAnswers | None:
    """Return a run's predictions, or the answers of one that writes; both have rows, labels and correct."""
    return read(folder) or read_answers(folder)
