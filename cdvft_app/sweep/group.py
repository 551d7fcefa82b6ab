"""A sweep's runs in the store: their results, the sweep's progress, and the seconds that are left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import mean

from cdvft_app import catalog
from cdvft_app.judging import row_scores
from cdvft_app.judging.sweep_results import SweepRun
from cdvft_app.payloads.sweeps import SweepProgress, SweepShown
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL, UNFINISHED
from cdvft_app.sweep.payload import payload


def sweep_run(run: RunRecord, store: RunStore | None = None) -> SweepRun:
    """As the judge takes it, with what it answered row by row if the `store` that keeps it is given."""
    answers = store and run.metric_name and row_scores.of_run(store, run.id, run.metric_name)
    return SweepRun(
        settings=run.settings,
        state=run.state,
        metric=run.metric if run.state == "finished" else None,
        parameters=run.trainable_parameters,
        seconds=run.seconds,
        rows=run.result.get("evaluation_examples"),
        answers=answers or None,
    )


def results(runs: Sequence[RunRecord], store: RunStore) -> SweepShown:
    """The results of one sweep's runs as the page shows them."""
    first = next((run for run in runs if run.state == "finished"), runs[0])
    return {
        **payload([sweep_run(run, store) for run in runs], first.metric_name, first.family),
        "title": runs[0].name,
        "origin": origin(runs[0]),
        "device": first.device,
        "created": runs[0].created,
    }


def origin(run: RunRecord) -> str:
    """The budget that all runs of the sweep share."""
    settings = run.settings
    recipe = catalog.recipes().get(settings.recipe)
    parts = [recipe.title if recipe else settings.recipe]
    if settings.train_examples:
        parts.append(f"{settings.train_examples:,} training examples")
    if settings.max_steps:
        parts.append(f"at most {settings.max_steps:,} steps")
    elif settings.epochs:
        parts.append(f"{settings.epochs:g} {'epoch' if settings.epochs == 1 else 'epochs'}")
    if settings.evaluation_examples:
        parts.append(f"{settings.evaluation_examples:,} evaluation examples")
    return " · ".join(parts)


def progress(runs: Sequence[RunRecord]) -> SweepProgress:
    """Counts by state, and the seconds left: None until one run has finished.

    They are the finished runs' mean duration, preparation and evaluation included, times the number of runs
    that are left, as one worker takes them.
    """
    counts = Counter[str](run.state for run in runs)
    waiting = sum(counts[state] for state in UNFINISHED)
    durations = [
        run.ended - run.started for run in runs if run.state == "finished" and run.ended and run.started
    ]
    return {
        "runs": len(runs),
        "states": dict(counts),
        "waiting": waiting,
        "ended": sum(counts[state] for state in FINAL),
        "seconds_left": mean(durations) * waiting if durations and waiting else None,
    }
