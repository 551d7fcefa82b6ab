"""From a plan to a task with its examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from torch.utils.data import Subset

from cdvft_app.catalog import Plan
from cdvft_app.catalog.dataset_readers import Rows, Split, load_rows
from cdvft_app.catalog.entries import Kind
from cdvft_app.metrics.accuracy import commonest_class
from cdvft_app.progress import Progress, ShouldStop
from cdvft_app.tasks.base import (
    Examples,
    GenerativeTask,
    InvalidInput,
    Prepared,
    Task,
    TooLong,
    WatchedPrompts,
)
from cdvft_app.tasks.generation import GenerationTask
from cdvft_app.tasks.image import ImageTask
from cdvft_app.tasks.text import TextTask

TASKS: Mapping[Kind, type[Task]] = {"text": TextTask, "image": ImageTask, "generation": GenerationTask}
"""The task of a model and a dataset, by their kind."""


WATCHED_EXAMPLES = 4
"""Prompts whose answers are watched, beside the visitor's own."""


def prepare(plan: Plan, progress: Progress, should_stop: ShouldStop, rows: Rows | None = None) -> Prepared:
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
            validation=settings.evaluate_on == "validation",
            progress=progress,
            should_stop=should_stop,
        )
    task = TASKS[plan.model.kind].open(plan, rows.labels, progress, should_stop)
    progress(None, "Preparing the examples")
    train, trained = _usable(task, rows.train, "train on")
    evaluation, evaluated = _usable(task, rows.evaluation, "evaluate on")
    writes = isinstance(task, GenerativeTask)
    shown = evaluated[:WATCHED_EXAMPLES]
    watched = _watched(task, rows, shown, settings.own_prompt) if writes else WatchedPrompts()
    validation = None
    if rows.validation is not None and plan.chooses_step:
        with suppress(TooLong):  # all of them
            found, _ = _usable(task, rows.validation, "choose the step by")
            validation = _subset(found, _by_length(task, found))
    task.load_weights(plan, progress)  # after all that can be refused
    by_length = _by_length(task, evaluation)
    in_order = [evaluated[place] for place in by_length]
    commits = {plan.model.title: task.commit, plan.dataset.title: rows.commit}
    return Prepared(
        task=task,
        train=train,
        evaluation=_subset(evaluation, by_length),
        evaluation_rows=in_order,
        evaluation_inputs=[rows.evaluation.inputs[place] for place in in_order] if writes else [],
        lengths=task.lengths(train),
        commits={title: commit for title, commit in commits.items() if commit},
        watched=watched,
        baseline=_baseline(rows, trained, evaluated),
        validation=validation,
    )


def _by_length(task: Task, examples: Examples) -> list[int]:
    lengths = task.lengths(examples)
    return sorted(range(len(lengths)), key=lengths.__getitem__)


def _subset(examples: Examples, places: list[int]) -> Examples:
    return Subset(examples, places)  # type: ignore[arg-type]


def _usable(task: Task, split: Split, purpose: str) -> tuple[Examples, Sequence[int]]:
    """Return the rows as examples, and their places; without those that are too long, which is noted."""
    with suppress(TooLong):
        return task.examples(split.inputs, split.labels), range(len(split))
    found: dict[int, dict[str, Any]] = {}
    for place in range(len(split)):
        with suppress(TooLong):
            found[place] = task.examples(split.inputs[place : place + 1], split.labels[place : place + 1])[0]
    if not found:
        task.examples(split.inputs, split.labels)  # says how long they are
    task.notes += (
        f"{len(split) - len(found):,} of {len(split):,} rows to {purpose} are longer than the run takes and "
        "left out; raise the length to take them.",
    )
    return list(found.values()), list(found)


def _watched(task: Task, rows: Rows, places: Sequence[int], own_prompt: str | None) -> WatchedPrompts:
    prompts = tuple(rows.evaluation.inputs[place] for place in places)
    right = tuple(rows.evaluation.labels[place] for place in places)
    if own_prompt is None:
        return WatchedPrompts(prompts, right)
    try:
        task.examples([own_prompt])
    except InvalidInput as error:
        raise InvalidInput(f"The prompt of your own cannot be answered. {error}") from None
    return WatchedPrompts((*prompts, own_prompt), (*right, None))


def _baseline(rows: Rows, trained: Sequence[int], evaluated: Sequence[int]) -> str | None:
    """Return what always answering with the commonest class gives, of the rows that the run takes."""
    if not rows.labels:
        return None
    train, evaluation = (
        np.bincount(np.asarray(split.labels)[list(places)], minlength=len(rows.labels)).tolist()
        for split, places in ((rows.train, trained), (rows.evaluation, evaluated))
    )
    found = commonest_class(rows.labels, train, evaluation)
    return found.sentence if found else None
