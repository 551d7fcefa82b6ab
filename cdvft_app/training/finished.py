"""A run that has ended, with what it learned: ready to predict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import nn
from transformers.utils import logging as transformers_log

from cdvft_app.catalog import Plan
from cdvft_app.catalog.download import Progress, ShouldStop, never, silent
from cdvft_app.catalog.rows import load_rows
from cdvft_app.metrics import get_metric
from cdvft_app.tasks import saved
from cdvft_app.tasks.base import Task
from cdvft_app.tasks.prepare import TASKS
from cdvft_app.training import trainable


def load(plan: Plan, folder: Path, progress: Progress = silent, should_stop: ShouldStop = never) -> Task:
    """The task of a run, its model with the weights that the run kept.

    Args:
        plan: of the run's settings.
        folder: where the run kept its weights: an adapter, a head, or a whole model.
        progress: told what is fetched and loaded.
        should_stop: asked while something is fetched.

    Raises:
        DownloadFailed: the pretrained model could not be had or read; says why and what to do.
        DownloadStopped: `should_stop()` became true.
        ValueError: the folder holds the weights of another model or method.
    """
    return load_adapted(plan, folder, progress, should_stop)[0]


def load_adapted(
    plan: Plan, folder: Path, progress: Progress = silent, should_stop: ShouldStop = never
) -> tuple[Task, nn.Module]:
    """The same, and its model as the method built it: a `PeftModel` for an adapter."""
    task = load_frozen(plan, folder, progress, should_stop)
    model = trainable.build(plan.settings, task.model, task.head)
    trainable.load(model, folder)
    return task, model


def load_frozen(
    plan: Plan, folder: Path, progress: Progress = silent, should_stop: ShouldStop = never
) -> Task:
    """The task of a run, its model as it was before: pretrained, under a fresh head.

    Weights that were rounded for training are whole here.
    """
    transformers_log.disable_progress_bar()  # `progress` is told
    if plan.settings.bits in (4, 8):  # rounded weights take no update
        plan = replace(plan, settings=plan.settings.model_copy(update={"bits": None}))
    record = saved.read(folder)
    labels = record.labels if record else _labels(plan, progress, should_stop)
    return TASKS[plan.model.kind].load(plan, labels, progress, should_stop)


def _labels(plan: Plan, progress: Progress, should_stop: ShouldStop) -> tuple[str, ...]:
    """The classes' names as the data has them, for runs that did not keep them."""
    if plan.dataset.labels or get_metric(plan.dataset.metric).regression:
        return plan.dataset.labels
    return load_rows(
        plan.dataset,
        train_examples=1,
        evaluation_examples=1,
        seed=0,
        progress=progress,
        should_stop=should_stop,
    ).labels
