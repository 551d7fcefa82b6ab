"""What is trained on what: a backbone with a head, examples to train and to evaluate on, and a metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn
from transformers import EvalPrediction

from cdvft_app.catalog import Plan
from cdvft_app.catalog.download import Progress, ShouldStop
from cdvft_app.catalog.entries import Metric
from cdvft_app.catalog.rows import Rows, load_rows


class Examples(Protocol):
    """A map-style dataset, as torch's DataLoader takes it."""

    def __len__(self) -> int: ...
    def __getitem__(self, place: int) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Task:
    """All that a run needs besides its method.

    model: forward(**inputs) gives (B, outputs) logits, or an output that has them as `.logits`.
    head: name of the head's module in `model`.
    lengths: of the training examples, in tokens; 1 for an image.
    collate: examples -> inputs of `model` and "labels".
    metric_name: of `measure`; "pearson" means regression, one output and real labels instead of classes.
    commits: of the hub, by title, for what came from there.
    """

    model: nn.Module
    head: str
    train: Examples
    evaluation: Examples
    lengths: list[int]
    collate: Callable[[Sequence[dict[str, Any]]], dict[str, Tensor]]
    metric_name: Metric
    throughput_unit: str
    commits: dict[str, str]

    def measure(self, prediction: EvalPrediction) -> dict[str, float]:
        """`{metric_name: value}` for a whole evaluation."""
        return {self.metric_name: measure(self.metric_name, prediction.predictions, prediction.label_ids)}


def prepare(plan: Plan, progress: Progress, should_stop: ShouldStop, rows: Rows | None = None) -> Task:
    """Load what a plan names, with a freshly drawn head (from torch's global generator).

    Args:
        plan: what to load.
        progress: told a fraction (None where unknown) and a sentence.
        should_stop: asked while something is fetched.
        rows: data to take in place of the plan's.

    Raises:
        DownloadFailed: something could not be had or read; says why and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    settings = plan.settings
    if rows is None:
        assert settings.train_examples and settings.evaluation_examples
        rows = load_rows(
            plan.dataset,
            train_examples=settings.train_examples,
            evaluation_examples=settings.evaluation_examples,
            seed=settings.seed,
            progress=progress,
            should_stop=should_stop,
        )
    if plan.model.kind == "text":
        from cdvft_app.training.text import text_task as build
    else:
        from cdvft_app.training.image import image_task as build
    return build(plan, rows, progress, should_stop)


def commits(plan: Plan, model: str | None, dataset: str | None) -> dict[str, str]:
    """The hub's commits that were loaded, by title; nothing for what came from elsewhere."""
    loaded = {plan.model.title: model, plan.dataset.title: dataset}
    return {title: commit for title, commit in loaded.items() if commit}


def measure(metric: Metric, logits: Any, labels: Any) -> float:
    """A metric of logits (N, classes) against labels (N); "pearson" is of outputs (N, 1) and real labels.

    accuracy is in 0..1; Matthews' and Pearson's correlation in -1..1, each 0 where one side is constant.
    """
    if metric == "pearson":
        outputs = logits.reshape(-1)
        constant = np.ptp(outputs) == 0 or np.ptp(labels) == 0
        return 0.0 if constant else float(np.corrcoef(outputs, labels)[0, 1])
    classes = logits.argmax(-1)
    if metric == "matthews":
        from sklearn.metrics import matthews_corrcoef

        return float(matthews_corrcoef(labels, classes))
    return float((classes == labels).mean())
