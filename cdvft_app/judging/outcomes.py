"""Finished runs with scores and costs: what can be compared, as points of a chart, in sentences, and
judged."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

from cdvft_app import catalog
from cdvft_app.catalog.entries import HUB_DATASET_FIELDS, find_known_model
from cdvft_app.costs.request import CostRequest
from cdvft_app.costs.sentences import joined, label
from cdvft_app.costs.table import cost_table
from cdvft_app.format import Unit, amount, counted
from cdvft_app.judging import row_scores, verdict_text
from cdvft_app.judging.comparison_sets import ComparisonSet, judged
from cdvft_app.judging.judge import Contestant, Run, Verdict, band
from cdvft_app.judging.more_rows import whole_and_fewer
from cdvft_app.judging.row_scores import RowScores
from cdvft_app.judging.sweep_results import Spread, SweepRun, over_seeds, setting_key, setting_values
from cdvft_app.methods import ORDER, Method
from cdvft_app.metrics import METRICS, get_metric
from cdvft_app.settings import InvalidChoice, RunSettings
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore


@dataclass(frozen=True)
class Axis:
    """A cost on the x-axis against which scores are drawn. `noun` and `least` are its words in sentences."""

    key: str
    title: str
    kind: Unit
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
            catalog.DATASETS.get(settings.dataset or ""),
            catalog.MODELS.get(settings.model or ""),
        )
        data = settings.data.title if settings.data else dataset.title if dataset else settings.dataset
        text = f"{data} with {model.title if model else settings.model}"
        examples = f"{settings.train_examples:,} examples, " if settings.train_examples else ""
        runs = counted(len(self.outcomes), "run")
        start = "Recorded: " if first.recorded else ""
        return f"{start}{text} · {examples}{first.steps:,} steps · {runs}"


def from_run(run: RunRecord) -> Outcome | None:
    """A finished run's outcome; None where it has no score, or one of validation rows."""
    if run.state != "finished" or run.metric is None or run.metric_name is None:
        return None
    if run.settings.evaluate_on == "validation":
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
        recorded=run.recorded,
    )


def with_answers(outcomes: Iterable[Outcome], store: RunStore) -> list[Outcome]:
    """The same outcomes with what the store's runs answered row by row."""
    return [replace(one, answers=row_scores.of_run(store, one.id, one.metric_name)) for one in outcomes]


def judged_run(one: Outcome) -> SweepRun:
    """The outcome as the judge takes it, who asks for no costs."""
    return SweepRun(
        one.settings, "finished", one.metric, None, rows=one.evaluation_examples, answers=one.answers
    )


def comparisons(outcomes: Iterable[Outcome]) -> list[Comparison]:
    """Outcomes grouped by their `conditions`, in the order in which they come."""
    found: dict[tuple[object, ...], list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.conditions, []).append(outcome)
    return [Comparison(tuple(members)) for members in found.values()]


_PREFIXES = {
    "learning_rate": "rate ",
    "warmup_ratio": "warm-up ",
    "weight_decay": "weight decay ",
    "target_modules": "on ",
}


@dataclass(frozen=True)
class Point:
    """All runs of one setting, whatever their seeds. Settings of one `size` differ in hyperparameters."""

    method: str
    label: str
    size: tuple[object, ...]
    outcomes: tuple[Outcome, ...]
    metric: Spread
    amounts: Mapping[str, Spread | None]

    @cached_property
    def band(self) -> tuple[float, float]:
        """The judge's 95 % interval of its score; from the lowest to the highest where that is not known."""
        first = self.outcomes[0]
        runs = tuple(
            Run(one.settings.seed, one.metric, one.evaluation_examples, one.answers) for one in self.outcomes
        )
        return band(Contestant(self.label, runs), first.metric_name) or (self.metric.low, self.metric.high)

    def answers_of(self, run_id: str) -> RowScores | None:
        return next((one.answers for one in self.outcomes if one.id == run_id), None)

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({outcome.settings.seed for outcome in self.outcomes}))


def points(comparison: Comparison) -> list[Point]:
    """One point a setting, by method and then by parameters."""
    settings: dict[tuple[object, ...], list[Outcome]] = {}
    for outcome in comparison.outcomes:
        settings.setdefault(setting_key(outcome.settings), []).append(outcome)
    varied = _varied(comparison.outcomes)
    all_points = [_point(own, varied) for own in settings.values()]
    return sorted(
        all_points, key=lambda point: (ORDER.index(point.method), _mean(point, "parameters"), point.label)
    )


def front(placed: Sequence[Point], axis: str) -> list[Point]:
    """The Pareto front, cheapest first: no other point scores as high for less, or higher for as much."""
    known = sorted(
        (point for point in placed if point.amounts.get(axis)), key=lambda p: (_mean(p, axis), -p.metric.mean)
    )
    kept: list[Point] = []
    for point in known:
        last = kept[-1] if kept else None
        level = last and (_mean(last, axis), last.metric.mean) == (_mean(point, axis), point.metric.mean)
        if last is None or level or point.metric.mean > last.metric.mean:
            kept.append(point)
    return kept


def _varied(outcomes: Sequence[Outcome]) -> dict[str, set[str]]:
    """By method, the settings beside its size that are not the same in all its runs."""
    seen: dict[str, dict[str, set[object]]] = {}
    sizes: dict[str, set[str]] = {}
    for outcome in outcomes:
        sizes.setdefault(outcome.method, set()).update(outcome.settings.method.sizes())
        for name, value in setting_values(outcome.settings).items():
            seen.setdefault(outcome.method, {}).setdefault(name, set()).add(value)
    return {
        key: {name for name, values in own.items() if len(values) > 1} - sizes[key]
        for key, own in seen.items()
    }


def _point(outcomes: Sequence[Outcome], varied: Mapping[str, set[str]]) -> Point:
    first = outcomes[0]
    method = first.settings.method
    sizes = method.sizes()
    extra = [
        _setting_text(method, name, value)
        for name, value in setting_values(first.settings).items()
        if name in varied[first.method]
    ]
    metric = over_seeds((outcome.settings.seed, outcome.metric) for outcome in outcomes)
    assert metric is not None  # each has a score
    amounts = {axis.key: [outcome.amounts.get(axis.key) for outcome in outcomes] for axis in AXES}
    return Point(
        method=first.method,
        label=", ".join([label({"method": first.method, "setting": sizes}), *extra]),
        size=(*sizes.values(), first.settings.target_modules),
        outcomes=tuple(outcomes),
        metric=metric,
        amounts={
            key: Spread.of(known) if (known := [value for value in values if value is not None]) else None
            for key, values in amounts.items()
        },
    )


def _setting_text(method: Method, name: str, value: object) -> str:
    if name in method.settings():
        return method.settings()[name].text(value)
    text = (
        ", ".join(value)
        if isinstance(value, tuple)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
    return f"{_PREFIXES.get(name, '')}{text}"


def _mean(point: Point, axis: str) -> float:
    span = point.amounts.get(axis)
    return span.mean if span else 0.0


_MAX_NAMED = 3


def comparison_set(placed: Sequence[Point]) -> ComparisonSet:
    """The verdicts on all runs that are drawn together; of one race or sweep alone, those of its family."""
    outcomes = [outcome for point in placed for outcome in point.outcomes]
    labels = {id(outcome.settings): point.label for point in placed for outcome in point.outcomes}
    whole = len({outcome.group_id for outcome in outcomes}) == 1
    return judged(
        [judged_run(outcome) for outcome in outcomes],
        outcomes[0].metric_name,
        lambda run: labels[id(run.settings)],
        sweep=whole and outcomes[0].sweep,
        family=outcomes[0].family if whole else None,
    )


def sentences(placed: Sequence[Point], axis: Axis, family: ComparisonSet) -> list[str]:
    """The front on this axis, then the verdicts on CDVFT, or on the method with the highest score."""
    drawn = [point for point in placed if point.amounts.get(axis.key)]
    if len(drawn) < 2:
        key = "one setting" if drawn else "nothing measured" if axis.kind == "bytes" else "nothing known"
        return [
            verdict_text.SENTENCES[key].format(
                noun=axis.noun, who="".join(_text(point, axis) for point in drawn)
            )
        ]
    highest = max(placed, key=lambda point: point.metric.mean)
    keys = [key for pair in family.between for key in pair]
    reference = next((key for key in ("cdvft", highest.method, highest.label) if key in keys), "")
    return [_front(drawn, axis), *verdict_text.sentences(family.against(reference))]


def _front(placed: Sequence[Point], axis: Axis) -> str:
    members = front(placed, axis.key)
    metric_name = members[0].outcomes[0].metric_name
    what = METRICS[metric_name].title if metric_name in METRICS else "score"
    few = len(members) <= _MAX_NAMED
    texts = [_text(member, axis) for member in members]
    key = "front of one" if len(members) == 1 else "front" if few else "long front"
    return verdict_text.SENTENCES[key].format(
        what=what,
        noun=axis.noun,
        least=axis.least,
        who=joined(texts),
        settings=counted(len(members), "setting"),
        first=texts[0],
        last=texts[-1],
    )


def _text(point: Point, axis: Axis) -> str:
    span = point.amounts[axis.key]
    assert span is not None
    reached = get_metric(point.outcomes[0].metric_name).format(point.metric.mean)
    unit = f" {axis.noun}" if axis.kind == "count" else ""
    needs = f"{amount(axis.kind, span.mean)}{unit}" if span.mean else f"no {axis.noun}"
    return f"{point.label} ({reached}, {needs})"


def with_flops(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The same outcomes with `flops` of all steps; None for a model whose shapes are not known here."""
    return [replace(one, amounts={**one.amounts, "flops": extra_flops(one)}) for one in outcomes]


def extra_flops(outcome: Outcome) -> int | None:
    """Forward and backward of all batches, every text at `max_length` tokens; the head's never count."""
    settings = outcome.settings
    if outcome.method == "head":
        return 0
    if settings.model is None or settings.batch_size is None or find_known_model(settings.model) is None:
        return None  # asking the hub for its shapes is not worth one number
    of_a_step = _counted(
        CostRequest(
            model=settings.model,
            targets=settings.target_modules,
            methods=(settings.method.model_copy(update={"learning_rate": None}),),
            batch=settings.batch_size,
            sequence=settings.max_length,
            image_size=settings.image_size,
        )
    )
    return None if of_a_step is None else outcome.steps * of_a_step


@lru_cache(maxsize=1024)
def _counted(request: CostRequest) -> int | None:
    try:
        return cost_table(request)[0]["flops_per_step"]
    except InvalidChoice:
        return None


@dataclass(frozen=True)
class JudgedRace:
    """The verdicts on the finished runs of one group; `points` are its settings by their runs' ids."""

    comparison_set: ComparisonSet
    points: Mapping[str, Point]

    def between(self, first: str, second: str) -> Verdict | None:
        """On two runs by their ids; None where these two are not compared with each other."""
        one, other = (self.points[run].label if run in self.points else "" for run in (first, second))
        for verdict in self.comparison_set.between.values():
            if {verdict.first, verdict.second} == {one, other} and one != other:
                return verdict if verdict.first == one else verdict.turned
        return None

    def about(self, run: str) -> list[Verdict]:
        """On the run of that id against each other, from its side."""
        return self._about(self.points[run].label) if run in self.points else []

    def _about(self, label: str) -> list[Verdict]:
        return [
            one if one.first == label else one.turned
            for one in self.comparison_set.between.values()
            if label in (one.first, one.second)
        ]

    @property
    def sentences(self) -> list[str]:
        """The verdicts on CDVFT, or on all where it did not take part."""
        return verdict_text.sentences(self.comparison_set.shown)

    @cached_property
    def _met(self) -> tuple[list[Point], list[Point]]:
        """Of each method its best setting: those that are not shown to be behind another, and the others."""
        verdicts = self.comparison_set.between.values()
        met = {label for one in verdicts for label in (one.first, one.second)}
        behind = {one.first for one in verdicts if one.word == "behind"}
        behind |= {one.second for one in verdicts if one.word == "ahead"}
        placed = [
            one for one in {one.label: one for one in self.points.values()}.values() if one.label in met
        ]
        return (
            [point for point in placed if point.label not in behind],
            [point for point in placed if point.label in behind],
        )

    @property
    def advised(self) -> Point | None:
        """Of those not shown to be behind another the one that trains the fewest numbers.

        None where of no pair it is known how sure their difference is, or where each is behind another.
        """
        known = any(one.low is not None for one in self.comparison_set.between.values())
        return min(self._met[0], key=_numbers, default=None) if known else None

    @property
    def advice(self) -> str:
        """What to take, in a sentence; empty where nothing is `advised`."""
        taken, (left, behind) = self.advised, self._met
        if taken is None:
            return ""
        about = self._about(taken.label)
        lows = [one.low for one in about if one.low is not None]
        is_known = len(lows) == len(about)
        return verdict_text.advice(
            taken.label,
            most=get_metric(about[0].metric_name).format_distance(min(lows)) if is_known else None,
            others=[point.label for point in left if point is not taken],
            behind=[point.label for point in behind],
        )


def _numbers(point: Point) -> float:
    """How many numbers it trains besides the head."""
    span = point.amounts.get("parameters")
    return span.mean if span else math.inf


def judged_race(records: Sequence[RunRecord], store: RunStore) -> JudgedRace | None:
    """Of the runs of one group but those on fewer rows; None unless two of its settings have finished."""
    whole, _ = whole_and_fewer(records)
    return judged_outcomes(with_answers(filter(None, map(from_run, whole)), store))


def judged_outcomes(outcomes: Sequence[Outcome]) -> JudgedRace | None:
    """Of outcomes with their answers."""
    placed = points(Comparison(tuple(outcomes)))
    if len(placed) < 2 or len({outcome.metric_name for outcome in outcomes}) > 1:
        return None
    by_run = {outcome.id: point for point in placed for outcome in point.outcomes}
    return JudgedRace(comparison_set(placed), by_run)
