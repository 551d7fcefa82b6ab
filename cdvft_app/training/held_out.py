"""The answers for each held-out row, kept from the final evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import EvalPrediction

from cdvft_app.store import predictions, written_answers
from cdvft_app.store.written_answers import WrittenRow
from cdvft_app.tasks.base import Task


class HeldOut:
    """A Trainer's `compute_metrics` that remembers what it measured last.

    `rows` are the evaluation examples' places among the rows as they were loaded; `inputs` are what they were
    made of, where the task writes.
    """

    def __init__(self, task: Task, rows: Sequence[int], inputs: Sequence[Any]) -> None:
        self._task, self._rows, self._inputs = task, np.array(rows), inputs
        self._last: EvalPrediction | None = None

    def __call__(self, evaluation: EvalPrediction) -> dict[str, float]:
        self._last = evaluation
        return self._task.measure(evaluation)

    def keep(self, folder: Path) -> str | None:
        """Write the answers of the last evaluation; returns a sentence where they cannot be written."""
        assert self._last is not None
        try:
            if self._task.is_generative:
                written_answers.write(folder, self._written(self._last))
            else:
                outputs = self._task.outputs(torch.as_tensor(self._last.predictions)).numpy()
                predictions.write(folder, self._rows, np.asarray(self._last.label_ids), outputs)
        except OSError as error:
            return f"The answers for each row could not be kept: {error.strerror or error}."
        return None

    def _written(self, evaluation: EvalPrediction) -> list[WrittenRow]:
        return [
            WrittenRow(row=row, prompt=prompt, expected=one.expected, written=one.text, scores=one.scores)
            for row, prompt, one in zip(
                self._rows.tolist(), self._inputs, self._task.written(evaluation), strict=True
            )
        ]
