"""The answers for each held-out row, kept from the final evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import EvalPrediction

from cdvft_app.store import predictions
from cdvft_app.tasks.base import Task


class HeldOut:
    """A Trainer's `compute_metrics` that remembers what it measured last.

    `rows` are the evaluation examples' places among the rows as they were loaded.
    """

    def __init__(self, task: Task, rows: Sequence[int]) -> None:
        self._task, self._rows = task, np.array(rows)
        self._last: EvalPrediction | None = None

    def __call__(self, evaluation: EvalPrediction) -> dict[str, float]:
        self._last = evaluation
        return self._task.measure(evaluation)

    def keep(self, folder: Path) -> str | None:
        """Write the answers of the last evaluation; returns a sentence where they cannot be written.

        Of a task that writes nothing is kept: its answers are neither classes nor numbers.
        """
        assert self._last is not None
        if self._task.writes:
            return None
        outputs = self._task.outputs(torch.as_tensor(self._last.predictions)).numpy()
        try:
            predictions.write(folder, self._rows, np.asarray(self._last.label_ids), outputs)
        except OSError as error:
            return f"The answers for each row could not be kept: {error.strerror or error}."
        return None
