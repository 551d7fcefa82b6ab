"""Finished runs with scores and costs: what can be compared, as points of a chart, in sentences, and
judged."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from cdvft_app import catalog
from cdvft_app.catalog.entries import HUB_DATASET_FIELDS, find_known_model
from cdvft_app.costs.request import CostRequest
from cdvft_app.costs.sentences import label
from cdvft_app.costs.table import cost_table
from cdvft_app.format import Unit, amount, counted, joined
from cdvft_app.judging import verdict_text
from cdvft_app.judging.compared_runs import (
    ComparedRun,
    Spread,
    compared_run,
    configuration_key,
    configuration_values,
    contestant,
    is_scored,
    spread_over_seeds,
)
from cdvft_app.judging.comparison_sets import ComparisonSet, judge_runs
from cdvft_app.judging.judge import MARGIN, Verdict, band
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
         "Trainable parameters of the adapter, without the classifier head."),
    Axis("flops", "Extra FLOPs", "flops", "extra FLOPs", "the fewest extra FLOPs",
         "FLOPs that the method adds to the whole training, by formula with every example at full length."),
    Axis("seconds", "Training seconds", "seconds", "seconds", "the shortest training",
         "Measured time of the training steps, without preparation and evaluation."),
    Axis("memory", "Peak memory", "bytes", "peak memory", "the least memory",
         "Measured. On a CPU, peak size of the process. On a GPU, peak memory allocated by PyTorch."),
)  # fmt: skip


def conditions(run: ComparedRun) -> tuple[object, ...]:
    """Return what two runs must have in common to be compared: data, model, budget, precision and device."""
    settings = run.settings
    budget = (
        settings.train_examples,
        run.steps,
        settings.batch_size,
        settings.max_length,
        settings.image_size,
        settings.keep,
    )
    costs = (
        settings.gradient_checkpointing,
        settings.gradient_accumulation or 1,
    )
    return (
        run.recorded,
        settings.model,
        settings.data or (settings.dataset, *(getattr(settings, name) for name in HUB_DATASET_FIELDS)),
        run.metric_name,
        run.rows,
        *budget,
        *_arithmetic(settings),
        *costs,
        run.device,
    )


def _arithmetic(settings: RunSettings) -> tuple[int, str]:
    """Return the bits of a frozen weight, and the precision of products."""
    recipe = catalog.RECIPES.get(settings.recipe)
    # Full fine-tuning, whose weights cannot be rounded, has no bits in a race whose recipe has 4.
    return settings.bits or (recipe and recipe.bits) or 32, settings.precision


@dataclass(frozen=True)
class Comparison:
    """Runs that may be compared, the latest first."""

    runs: tuple[ComparedRun, ...]

    @property
    def key(self) -> str:
        return hashlib.sha256(repr(conditions(self.runs[0])).encode()).hexdigest()[:12]

    @property
    def title(self) -> str:
        """The data, the model, the budget and what precision is not the usual one, in one line."""
        first = self.runs[0]
        settings = first.settings
        dataset, model = (
            catalog.DATASETS.get(settings.dataset or ""),
            catalog.MODELS.get(settings.model or ""),
        )
        data = settings.data.title if settings.data else dataset.title if dataset else settings.dataset
        text = f"{data} with {model.title if model else settings.model}"
        examples = f"{settings.train_examples:,} examples, " if settings.train_examples else ""
        count = counted(len(self.runs), "run")
        start = "Recorded: " if first.recorded else ""
        bits, precision = _arithmetic(settings)
        unusual = (f", {bits} bit" if bits != 32 else "") + (f", {precision}" if precision != "auto" else "")
        return f"{start}{text} · {examples}{first.steps:,} steps{unusual} · {count}"


def comparisons(runs: Iterable[ComparedRun]) -> list[Comparison]:
    """Return runs grouped by their conditions, in the order in which they come."""
    found: dict[tuple[object, ...], list[ComparedRun]] = {}
    for run in runs:
        found.setdefault(conditions(run), []).append(run)
    return [Comparison(tuple(members)) for members in found.values()]


_PREFIXES = {
    "learning_rate": "rate ",
    "warmup_ratio": "warm-up ",
    "weight_decay": "weight decay ",
    "adam_beta1": "Adam's beta1 ",
    "target_modules": "on ",
}


@dataclass(frozen=True)
class Point:
    """All runs of one setting, whatever their seeds. Settings of one `size` differ in hyperparameters."""

    method: str
    label: str
    size: tuple[object, ...]
    runs: tuple[ComparedRun, ...]
    metric: Spread
    amounts: Mapping[str, Spread | None]

    @cached_property
    def band(self) -> tuple[float, float]:
        """The judge's 95 % interval of its score; from the lowest to the highest where that is not known."""
        side = contestant(self.label, self.runs)
        return band(side, self.runs[0].metric_name) or (self.metric.low, self.metric.high)

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({run.settings.seed for run in self.runs}))


def points(comparison: Comparison) -> list[Point]:
    """Return one point for each setting, sorted by method and then by parameters."""
    settings: dict[tuple[object, ...], list[ComparedRun]] = {}
    for run in comparison.runs:
        settings.setdefault(configuration_key(run.settings), []).append(run)
    varied = _varied(comparison.runs)
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


def _varied(runs: Sequence[ComparedRun]) -> dict[str, set[str]]:
    """For each method the names of the settings, besides its size, that differ between its runs."""
    seen: dict[str, dict[str, set[object]]] = {}
    sizes: dict[str, set[str]] = {}
    for run in runs:
        sizes.setdefault(run.method, set()).update(run.settings.method.sizes())
        for name, value in configuration_values(run.settings).items():
            seen.setdefault(run.method, {}).setdefault(name, set()).add(value)
    return {
        key: {name for name, values in own.items() if len(values) > 1} - sizes[key]
        for key, own in seen.items()
    }


def _point(runs: Sequence[ComparedRun], varied: Mapping[str, set[str]]) -> Point:
    first = runs[0]
    method = first.settings.method
    sizes = method.sizes()
    named = varied[first.method] | {
        name
        for name, one in method.settings().items()
        if one.in_label == "changed" and name not in sizes and getattr(method, name) != one.default
    }
    extra = [
        _setting_text(method, name, value)
        for name, value in configuration_values(first.settings).items()
        if name in named
    ]
    metric = spread_over_seeds((run.settings.seed, run.metric) for run in runs)
    assert metric is not None  # each has a score
    amounts = {axis.key: [getattr(run, axis.key) for run in runs] for axis in AXES}
    return Point(
        method=first.method,
        label=", ".join([label({"method": first.method, "setting": sizes}), *extra]),
        size=(*sizes.values(), first.settings.target_modules),
        runs=tuple(runs),
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


def judge_points(placed: Sequence[Point]) -> ComparisonSet:
    """The verdicts on all runs that are drawn together; of one race or sweep alone, those of its family."""
    runs = [run for point in placed for run in point.runs]
    labels = {run.id: point.label for point in placed for run in point.runs}
    whole = len({run.group_id for run in runs}) == 1
    return judge_runs(
        runs,
        runs[0].metric_name,
        lambda run: labels[run.id],
        sweep=whole and runs[0].sweep,
        family=runs[0].family if whole else None,
    )


def sentences(placed: Sequence[Point], axis: Axis, compared: ComparisonSet) -> list[str]:
    """Return the front on this axis, then the verdicts on CDVFT, or on the method with the highest score."""
    drawn = [point for point in placed if point.amounts.get(axis.key)]
    if len(drawn) < 2:
        key = "one setting" if drawn else "nothing measured" if axis.kind == "bytes" else "nothing known"
        return [
            verdict_text.SENTENCES[key].format(
                noun=axis.noun, who="".join(_text(point, axis) for point in drawn)
            )
        ]
    highest = max(placed, key=lambda point: point.metric.mean)
    keys = [key for pair in compared.between for key in pair]
    reference = next((key for key in ("cdvft", highest.method, highest.label) if key in keys), "")
    return [_front(drawn, axis), *verdict_text.sentences(compared.against(reference))]


def _front(placed: Sequence[Point], axis: Axis) -> str:
    members = front(placed, axis.key)
    metric_name = members[0].runs[0].metric_name
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
    reached = get_metric(point.runs[0].metric_name).format(point.metric.mean)
    unit = f" {axis.noun}" if axis.kind == "count" else ""
    needs = f"{amount(axis.kind, span.mean)}{unit}" if span.mean else f"no {axis.noun}"
    return f"{point.label} ({reached}, {needs})"


def with_flops(runs: Iterable[ComparedRun]) -> list[ComparedRun]:
    """Return the same runs with `flops` of all steps; None for a model whose shapes are not known here."""
    return [replace(one, flops=extra_flops(one)) for one in runs]


def extra_flops(run: ComparedRun) -> int | None:
    """FLOPs that the method added to all training steps, counting every text as `max_length` tokens.

    The head's own FLOPs are never counted. None for a model whose shapes are not known here.
    """
    settings = run.settings
    if run.method == "head":
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
    return None if of_a_step is None else run.steps * of_a_step


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
        """The verdict on two runs, by their ids; None where these two are not compared with each other."""
        one, other = (self.points[run].label if run in self.points else "" for run in (first, second))
        for verdict in self.comparison_set.between.values():
            if {verdict.first, verdict.second} == {one, other} and one != other:
                return verdict if verdict.first == one else verdict.turned
        return None

    def about(self, run: str) -> list[Verdict]:
        """Return all verdicts on the run of this id, from its side."""
        return self.comparison_set.against(self.points[run].label) if run in self.points else []

    @property
    def sentences(self) -> list[str]:
        """The verdicts on CDVFT, or on all where it did not take part."""
        return verdict_text.sentences(self.comparison_set.shown)

    @cached_property
    def best(self) -> Point | None:
        """The compared setting with the highest mean; of equal means, the smaller adapter."""
        compared = {
            label for one in self.comparison_set.between.values() for label in (one.first, one.second)
        }
        placed = [point for point in self.points.values() if point.label in compared]
        return max(placed, key=lambda one: (one.metric.mean, -_numbers(one)), default=None)

    @property
    def advised(self) -> Point | None:
        """The recommended setting: the best, unless a smaller one is equivalent to it within the margin.

        None if no interval is known.
        """
        best, verdicts = self.best, self.comparison_set.between.values()
        if best is None or not any(one.low is not None for one in verdicts):
            return None
        equivalent = {
            label
            for one in self.comparison_set.against(best.label)
            if one.word == "as good"
            for label in (one.first, one.second)
        }
        candidates = [point for point in self.points.values() if point.label in equivalent]
        return min([best, *candidates], key=_numbers)

    @property
    def advice(self) -> str:
        """A sentence that recommends a setting; empty if none is `advised`."""
        taken, best = self.advised, self.best
        if taken is None or best is None:
            return ""
        unclear = [
            one.second if one.first == taken.label else one.first
            for one in self.comparison_set.against(taken.label)
            if one.word == "not shown"
        ]
        return verdict_text.advice(
            taken.label,
            best.label,
            unclear,
            get_metric(self.comparison_set.against(taken.label)[0].metric_name).format_distance(MARGIN),
        )


def _numbers(point: Point) -> float:
    """Return the number of trained parameters besides the head's; infinite where it is not known."""
    span = point.amounts.get("parameters")
    return span.mean if span else math.inf


def judged_race(records: Sequence[RunRecord], store: RunStore) -> JudgedRace | None:
    """Return the verdicts on the runs of one group; None unless two of its settings have finished."""
    return judged_runs([compared_run(run, store) for run in records if is_scored(run)])


def judged_runs(runs: Sequence[ComparedRun]) -> JudgedRace | None:
    """Return the verdicts on finished runs with their answers.

    None unless two settings have a score by the same metric.
    """
    placed = points(Comparison(tuple(runs)))
    if len(placed) < 2 or len({run.metric_name for run in runs}) > 1:
        return None
    by_run = {run.id: point for point in placed for run in point.runs}
    return JudgedRace(judge_points(placed), by_run)
