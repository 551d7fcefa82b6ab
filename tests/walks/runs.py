"""Finished, stopped, and failed runs in a studio's history, without a training."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import run_events

from cdvft_app import catalog
from cdvft_app.catalog.dataset_readers import Rows
from cdvft_app.catalog.entries import ModelEntry
from cdvft_app.events import Evaluation
from cdvft_app.settings import RunSettings
from cdvft_app.store import snapshots
from cdvft_app.store.processes import this_process
from walks.studio import Studio

sys.path.insert(0, str(Path(__file__).parents[1] / "cdvft_app"))  # where tiny models are made
Snapshots = Mapping[int, Mapping[str, np.ndarray]]


def build(
    studio: Studio,
    *,
    state: str = "finished",
    method: str | Sequence[str] = ("cdvft", "lora"),
    name: str = "Built",
    score: float = 0.8,
    steps: int = 2,
    reason: str | None = None,
    factors: Snapshots | None = None,
    **settings: Any,
) -> list[str]:
    """Add a race of these methods to the history.

    Args:
        state: Of each run: finished, stopped, failed, or running.
        factors: Values of each factor, by step and `<module>/<factor>`.

    Returns:
        The ids of its runs.
    """
    methods = (method,) if isinstance(method, str) else method
    plans = [catalog.resolve(RunSettings(method=one, **settings)).settings for one in methods]
    runs = studio.store.create(plans, "somebody", name, process=this_process())
    for run in runs:
        folder = studio.store.make_folder(run.id)
        studio.store.append(run.id, run_events.started(steps, evaluation_examples=500))
        for step in range(1, steps + 1):
            studio.store.append(run.id, run_events.step(step, 1 / step))
        studio.store.append(run.id, Evaluation(steps, steps / 10, 0.5, "accuracy", score))
        for step, values in (factors or {}).items():
            snapshots.write(folder, step, dict(values))
        if state == "failed":
            studio.store.set_state(run.id, "failed", reason)
        elif state != "running":
            done = run_events.done(steps, folder / "adapter", state=state, metric=score)
            studio.store.append(run.id, done)
    return [run.id for run in runs]


def tiny(key: str, folder: Path) -> ModelEntry:
    """The catalog's entry of a model, which reads a tiny one from this folder instead."""
    return dataclasses.replace(catalog.get_model(key), source="local", location=str(folder))


def train(studio: Studio, rows: Rows, name: str, settings: Sequence[RunSettings]) -> list[str]:
    """Train a race of tiny models. Returns the ids of its runs."""
    import listening

    plans = [catalog.resolve(one) for one in settings]
    runs = studio.store.create([plan.settings for plan in plans], "somebody", name, process=this_process())
    for run, plan in zip(runs, plans, strict=True):
        for event in listening.run(plan, rows, studio.store.make_folder(run.id))[0]:
            studio.store.append(run.id, event)
    return [run.id for run in runs]
