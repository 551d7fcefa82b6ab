"""Finished runs with their scores and costs, grouped by what makes them comparable.

Importing it loads no torch; FLOPs, whose formulas do, come from `run_flops`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cdvft_app import catalog
from cdvft_app.catalog.hub_ids import HUB_DATASET_FIELDS
from cdvft_app.costs.quantities import Kind
from cdvft_app.judging import kept_answers
from cdvft_app.judging.row_scores import RowScores, of_wrong
from cdvft_app.judging.sweep_results import SweepRun
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore


@dataclass(frozen=True)
class Axis:
    """A cost on the x-axis against which scores are drawn. `noun` and `least` are its words in sentences."""

    key: str
    title: str
    kind: Kind
    noun: str
    least: str
    hint: str


AXES = (
    Axis("parameters", "Parameters", "count", "parameters", "the fewest parameters",
         "Numbers that the adapter trains; the classifier head, the same in every method, is not counted."),
    Axis("flops", "Extra FLOPs", "flops", "extra FLOPs", "the fewest extra FLOPs",
         "Operations that the method added to the whole training: a step's by formula, every example at full "
         "length, times the steps."),
    Axis("seconds", "Training seconds", "seconds", "seconds", "the shortest training",
         "Measured, without preparation and evaluations. What else the machine did meanwhile shows in it."),
    Axis("memory", "Peak memory", "bytes", "peak memory", "the least memory",
         "Measured. On a CPU the largest size of the whole program, model and libraries included; on a GPU "
         "what torch had taken."),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One finished run. `amounts` are its costs by axis, None where they were not measured or counted.

    `sweep` and `family` as of a `RunRecord`; `answers` row by row, None where they were not kept.
    """

    id: str
    group_id: str
    name: str
    created: float
    settings: RunSettings
    metric_name: str
    metric: float
    evaluation_examples: int | None
    steps: int
    device: str
    amounts: Mapping[str, float | None]
    recorded: bool = False
    sweep: bool = False
    family: int | None = None
    answers: RowScores | None = field(default=None, compare=False)

    @property
    def method(self) -> str:
        return self.settings.method.key

    @property
    def conditions(self) -> tuple[object, ...]:
        """What two runs must have in common to be compared: data, model, budget and device."""
        settings = self.settings
        budget = (
            settings.train_examples,
            self.steps,
            settings.batch_size,
            settings.max_length,
            settings.image_size,
        )
        return (
            self.recorded,
            settings.model,
            settings.data or (settings.dataset, *(getattr(settings, name) for name in HUB_DATASET_FIELDS)),
            self.metric_name,
            self.evaluation_examples,
            *budget,
            self.device,
        )


@dataclass(frozen=True)
class Comparison:
    """Outcomes that may be compared, the latest first."""

    outcomes: tuple[Outcome, ...]

    @property
    def key(self) -> str:
        return hashlib.sha256(repr(self.outcomes[0].conditions).encode()).hexdigest()[:12]

    @property
    def title(self) -> str:
        """Data, model, budget."""
        first = self.outcomes[0]
        settings = first.settings
        dataset, model = (
            catalog.datasets().get(settings.dataset or ""),
            catalog.models().get(settings.model or ""),
        )
        data = settings.data.title if settings.data else dataset.title if dataset else settings.dataset
        text = f"{data} with {model.title if model else settings.model}"
        examples = f"{settings.train_examples:,} examples, " if settings.train_examples else ""
        runs = f"{len(self.outcomes)} run{'s' if len(self.outcomes) > 1 else ''}"
        start = "Recorded: " if first.recorded else ""
        return f"{start}{text} · {examples}{first.steps:,} steps · {runs}"


def from_run(run: RunRecord) -> Outcome | None:
    """A finished run's outcome; None where it has no score."""
    if run.state != "finished" or run.metric is None or run.metric_name is None:
        return None
    return Outcome(
        id=run.id,
        group_id=run.group_id,
        name=run.name,
        created=run.created,
        settings=run.settings,
        metric_name=run.metric_name,
        metric=run.metric,
        evaluation_examples=run.result.get("evaluation_examples"),
        steps=run.step,
        device=run.device or "an unknown device",
        amounts={
            "parameters": run.trainable_parameters,
            "seconds": run.seconds,
            "memory": run.result.get("peak_memory_bytes"),
        },
        sweep=run.sweep,
        family=run.family,
    )


def with_answers(outcomes: Iterable[Outcome], store: RunStore) -> list[Outcome]:
    """The same outcomes with what the store's runs answered row by row."""
    return [
        one if one.recorded else replace(one, answers=kept_answers.of_run(store, one.id, one.metric_name))
        for one in outcomes
    ]


def judged_run(one: Outcome) -> SweepRun:
    """The outcome as the judge takes it, who asks for no costs."""
    return SweepRun(
        one.settings, "finished", one.metric, None, rows=one.evaluation_examples, answers=one.answers
    )


def from_recorded_race(row: Mapping[str, Any]) -> Outcome:
    """The outcome of a run in assets/recorded_race.json, in the form in which the page polls runs."""
    return Outcome(
        id=row["id"],
        group_id=row["group"],
        name=row["name"],
        created=row["created"],
        settings=RunSettings.model_validate(row["settings"]),
        metric_name=row["metric_name"],
        metric=row["metric"],
        evaluation_examples=row["evaluation_examples"],
        steps=row["step"],
        device=row["device"],
        amounts={
            "parameters": row["trainable_parameters"],
            "seconds": row["seconds"],
            "memory": row.get("peak_memory_bytes"),
        },
        recorded=True,
        answers=of_wrong(row["rows"], row["wrong"]) if "wrong" in row else None,
    )


def comparisons(outcomes: Iterable[Outcome]) -> list[Comparison]:
    """Outcomes grouped by their `conditions`, in the order in which they come."""
    found: dict[tuple[object, ...], list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.conditions, []).append(outcome)
    return [Comparison(tuple(members)) for members in found.values()]
