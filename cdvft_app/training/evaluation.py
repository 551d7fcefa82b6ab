"""Evaluation beside the loss: answers to held-out rows, sample generations, the base model's baseline."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from transformers import EvalPrediction

from cdvft_app.catalog import Plan, uploaded
from cdvft_app.catalog.download import Progress
from cdvft_app.catalog.entries import DatasetEntry
from cdvft_app.events import Answers
from cdvft_app.metrics import get_metric
from cdvft_app.metrics.exact_match import wrong_parts
from cdvft_app.store import predictions
from cdvft_app.store.predictions import WrittenRow
from cdvft_app.tasks.base import GenerativeTask, LabelledTask, Prepared, Task, Watched
from cdvft_app.tasks.generation import IGNORED, GenerationTask
from cdvft_app.training.device import device_kind


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
            if isinstance(self._task, GenerativeTask):
                predictions.write_answers(folder, self._written(self._task, self._last))
            else:
                assert isinstance(self._task, LabelledTask)
                outputs = self._task.outputs(torch.as_tensor(self._last.predictions)).numpy()
                predictions.write(folder, self._rows, np.asarray(self._last.label_ids), outputs)
        except OSError as error:
            return f"The answers for each row could not be kept: {error.strerror or error}."
        return None

    def _written(self, task: GenerativeTask, evaluation: EvalPrediction) -> list[WrittenRow]:
        return [
            WrittenRow(row=row, prompt=prompt, expected=one.expected, written=one.text, scores=one.scores)
            for row, prompt, one in zip(
                self._rows.tolist(), self._inputs, task.written(evaluation), strict=True
            )
        ]


def sample_generations(
    task: Task, watched: Watched, dataset: DatasetEntry, step: int, seconds: float
) -> Answers | None:
    """What a model writes to the watched prompts, all at once; None where there are none."""
    if not watched.prompts:
        return None
    predictions = task.predict(watched.prompts)
    texts = tuple(one.text or "" for one in predictions)
    return Answers(
        step=step,
        seconds=seconds,
        prompts=watched.prompts,
        answers=texts,
        right=watched.right,
        wrong=tuple(
            () if right is None else wrong_parts(text, right, dataset)
            for text, right in zip(texts, watched.right, strict=True)
        ),
        tokens=tuple(one.tokens for one in predictions),
        own=None in watched.right,
    )


MAX_ROWS, AT_ONCE = 32, 8
ROUNDED = (4, 8)  # bits of weights that are on their device already


def base_model_baseline(plan: Plan, prepared: Prepared, progress: Progress) -> str:
    """A sentence with the metric of the model's answers to the first `MAX_ROWS` evaluation rows, untrained.

    It is what a score on an uploaded dataset is to be held against. Asking takes about as long as an
    evaluation, so the score is kept beside the rows, and each further run of a race finds it there.

    `progress` may raise to stop it.
    """
    task = cast(GenerationTask, prepared.task)
    assert plan.settings.data
    file = uploaded.folder(plan.settings.data) / f"untrained-{_digest(plan, task)}.json"
    score, rows = None, min(MAX_ROWS, len(prepared.evaluation))
    with suppress(OSError, ValueError, KeyError, TypeError):
        score = float(json.loads(file.read_text(encoding="utf-8"))["score"])
    if score is None:
        score = _measured(plan, prepared, task, progress)
        with suppress(OSError):  # the next run asks again
            file.write_text(json.dumps({"score": score}), encoding="utf-8")
    metric = get_metric(task.metric_name)
    scored = f"{metric.title} {metric.format(score)}, on {rows} of {len(prepared.evaluation)} evaluation rows"
    return f"The same model without training, given the same prompt: {scored}."


def _measured(plan: Plan, prepared: Prepared, task: GenerationTask, progress: Progress) -> float:
    if plan.settings.bits not in ROUNDED:
        cast(torch.nn.Module, task.model).to(device_kind())  # where it is trained afterwards
    places = np.argsort(prepared.evaluation_rows)[:MAX_ROWS]
    examples = sorted(
        (prepared.evaluation[int(place)] for place in places), key=lambda one: len(one["labels"])
    )
    # A longer answer than the longest right one is not exactly it.
    most = max(len(one["labels"]) for one in examples) if task.metric_name == "exact_match" else None
    predicted, expected = [], []
    for start in range(0, len(examples), AT_ONCE):
        progress(start / len(examples), "Asking the model before any training")
        batch = examples[start : start + AT_ONCE]
        written = task.write(task.collate([{"input_ids": one["input_ids"]} for one in batch]), most=most)
        predicted += written.tolist()
        expected += [one["labels"] for one in batch]
    sides = EvalPrediction(predictions=_padded(predicted), label_ids=_padded(expected))
    return task.measure(sides)[task.metric_name]


def _padded(rows: list[list[int]]) -> np.ndarray:
    longest = max(map(len, rows))
    return np.array([row + [IGNORED] * (longest - len(row)) for row in rows])


def _digest(plan: Plan, task: GenerationTask) -> str:
    """Of all that the score depends on."""
    settings = plan.settings
    given = (
        plan.model.key, plan.model.location, task.commit, settings.max_length, settings.evaluation_examples,
        settings.bits, settings.precision, settings.data and settings.data.model_dump(mode="json"),
    )  # fmt: skip
    return hashlib.sha256(json.dumps(given).encode()).hexdigest()[:16]
