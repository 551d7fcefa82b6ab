"""What a model writes before any training, told the same: what its score on data of one's own is to be held
against.

Asking takes about as long as an evaluation, so the score is kept beside the rows, and each further run of a
race finds it there.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import cast

import numpy as np
import torch
from transformers import EvalPrediction

from cdvft_app.catalog import Plan, uploaded_entry
from cdvft_app.catalog.download import Progress
from cdvft_app.metrics import get_metric
from cdvft_app.tasks.base import Prepared
from cdvft_app.tasks.generation import IGNORED, GenerationTask
from cdvft_app.training.device import device_kind

MAX_ROWS, AT_ONCE = 32, 8
ROUNDED = (4, 8)  # bits of weights that are on their device already


def untrained(plan: Plan, prepared: Prepared, progress: Progress) -> str:
    """A sentence with the metric of the model's answers to the first `MAX_ROWS` evaluation rows.

    `progress` may raise to stop it.
    """
    task = cast(GenerationTask, prepared.task)
    assert plan.settings.data
    file = uploaded_entry.folder(plan.settings.data) / f"untrained-{_digest(plan, task)}.json"
    score, rows = None, min(MAX_ROWS, len(prepared.evaluation))
    with suppress(OSError, ValueError, KeyError, TypeError):
        score = float(json.loads(file.read_text(encoding="utf-8"))["score"])
    if score is None:
        score = _measured(plan, prepared, task, progress)
        with suppress(OSError):  # the next run asks again
            file.write_text(json.dumps({"score": score}), encoding="utf-8")
    metric = get_metric(task.metric_name)
    where = f"on {rows} of {len(prepared.evaluation)} evaluation rows"
    return f"The same model without training, told the same: {metric.title} {metric.format(score)}, {where}."


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
