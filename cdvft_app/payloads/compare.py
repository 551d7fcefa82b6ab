"""Payloads of the Compare tab: decisions, growth, measuring, finished runs, sweeps, and the page of
evidence."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from cdvft_app.format import Unit
from cdvft_app.payloads.shared import Charted, Figure, Method, Styled, TokenRequest

Option = tuple[str, str]  # key and title


class PagesFixed(TypedDict):
    pages: list[Option]


class Quantity(TypedDict):
    key: str
    title: str
    hint: str
    kind: Unit


class AskedMethod(TypedDict):
    """A column; `unavailable`: why it does not fit this model, `refused`: why it cannot be measured."""

    method: Method
    label: str
    unavailable: str | None
    refused: str | None


class Answer(TypedDict):
    """A row of the answer: a text for each method, None where there is none; `best` marks who has least."""

    key: str
    title: str
    hint: str
    texts: list[str | None]
    best: list[bool]


class MemoryTerm(TypedDict):
    """A part of a step's bytes, for each available method."""

    title: str
    formula: str
    texts: list[str]


class Device(TypedDict):
    title: str
    bandwidth: str
    bfloat16: str
    source: str


class Circumstances(TypedDict):
    """Where and when steps were measured: on which `device`, between which seconds since 1970.

    `others`: the largest share of the processor that other programs took.
    """

    device: str
    first: float
    last: float
    others: float


class GrowthLine(TypedDict):
    """A competitor's costs by quantity at each x; None where it does not fit."""

    method: Method
    label: str
    costs: dict[str, list[float | None]]


class Growth(TypedDict):
    """Costs along one axis; `short` is its symbol, `name` its label in the switch."""

    key: str
    short: str
    name: str
    title: str
    note: str
    at: float
    x: list[int]
    series: list[GrowthLine]


class Costs(TypedDict):
    """The answer to one request: its sentence and table, and what stands behind them."""

    request: dict[str, Any]
    title: str
    subtitle: str
    sentence: str
    matched: list[str]
    methods: list[AskedMethod]
    answers: list[Answer]
    memory: list[MemoryTerm]
    measured: Circumstances | None
    columns: list[Quantity]
    devices: list[Device]
    assumptions: list[str]
    rows: list[dict[str, Any]]


class CostsView(TypedDict):
    """A comparison, or why there is none."""

    shown: Costs | None
    problem: str | None


class CostsFixed(Styled):
    first: CostsView


class GrowthCurves(TypedDict):
    """The growth of costs along each axis, on a model; `quantities` are those that can be drawn."""

    title: str
    quantities: list[Quantity]
    growth: list[Growth]


class GrowthView(TypedDict):
    """The curves, or why there are none."""

    shown: GrowthCurves | None
    problem: str | None


class GrowthFixed(Charted):
    first: GrowthView


class Measuring(TypedDict):
    """The measuring panel: `fraction` is its progress, `kept` the number of new measurements."""

    state: Literal["idle", "on", "done", "failed"]
    text: str
    fraction: float
    kept: int


class PaperRow(TypedDict):
    topic: str
    quantity: str
    unit: str
    published: str | None
    recomputed: float | None
    verdict: str
    why: str
    source: str


class OutcomeRow(TypedDict):
    """A setting: its cells as text and as numbers, and the axes on whose Pareto front it lies."""

    cells: list[str]
    numbers: list[Any]
    front: list[str]


class Axis(TypedDict):
    key: str
    title: str
    hint: str


class Comparison(TypedDict):
    """The scores of finished runs that can be compared, against their costs."""

    subtitle: str
    axes: list[Axis]
    figures: dict[str, Figure | None]
    sentences: dict[str, list[str]]
    methods: list[Method]
    columns: list[str]
    rows: list[OutcomeRow]
    runs: list[dict[str, Any]]


class OutcomesFixed(Styled):
    """`first` stands on the page until the runs of this server are read."""

    first: Outcomes | None


class OutcomesRequest(TypedDict):
    """`chosen`: a comparison's key; the latest one where it is not offered. `flops`: count its FLOPs."""

    chosen: NotRequired[str | None]
    flops: NotRequired[bool]


class NoOutcomes(TypedDict):
    choices: list[Option]


class Outcomes(Comparison, NoOutcomes):
    """The chosen one of several comparisons; `counted`: whether the runs' FLOPs are included."""

    chosen: str
    recorded: bool
    origin: str | None
    counted: bool


class SweepSpread(TypedDict):
    """A metric over seeds, taken from so many runs."""

    mean: float
    low: float
    high: float
    runs: int


class SweepPoint(SweepSpread):
    at: str


class SweepSetting(TypedDict):
    method: Method
    name: str
    values: dict[str, Any]
    spread: SweepSpread | None
    seeds: int
    failed: int
    parameters: int | None
    seconds: float | None


class SweepCells(TypedDict):
    """Over the other dimensions: their mean, or their best."""

    mean: list[list[SweepSpread | None]]
    best: list[list[SweepSpread | None]]


class SweepHeatmap(TypedDict):
    key: str
    method: Method
    title: str
    rows: list[str]
    columns: list[str]
    over_others: bool
    cells: SweepCells


class SweepPoints(TypedDict):
    mean: list[SweepPoint]
    best: list[SweepPoint]


class SweepSeries(TypedDict):
    label: str
    method: Method
    points: SweepPoints


class SweepLines(TypedDict):
    key: str
    title: str
    axis: str
    ticks: list[str]
    series: list[SweepSeries]


class SweepResults(TypedDict):
    """A sweep's settings with their scores, and how they are drawn and described."""

    metric_name: str | None
    metric_title: str | None
    settings: list[SweepSetting]
    heatmaps: list[SweepHeatmap]
    lines: list[SweepLines]
    answer: str
    sentences: list[str]


class SweepShown(SweepResults):
    """A sweep of the store, or one that was `recorded` (when and where); `created` in seconds since 1970."""

    title: str
    origin: str
    device: NotRequired[str | None]
    created: NotRequired[float]
    recorded: NotRequired[str]


class SweepProgress(TypedDict):
    """The number of runs in each state; `seconds_left` is None until one has finished."""

    runs: int
    states: dict[str, int]
    waiting: int
    ended: int
    seconds_left: float | None


class SweepViewRequest(TokenRequest):
    """A sweep by its group, of which the page has the results of `known`; or the recipe of a recorded one."""

    group: NotRequired[str | None]
    known: NotRequired[str | None]
    recorded: NotRequired[str]


class SweepAnswer(TypedDict, total=False):
    """A sweep's progress, and its results unless the page has those of `known` already; or `missing`."""

    missing: bool
    progress: SweepProgress
    mine: bool
    known: str
    shown: SweepShown | None


class SweepFixed(Charted):
    recorded: list[Option]


class EvidenceFigure(TypedDict):
    """A doubt and its answer; `figure` shows it, `label` says what the figure shows, `behind` why.

    `methods` are those that the figure draws. `command` records it again; `again` are the forms of Train with
    these settings, each the query of an address and its title.
    """

    key: str
    doubt: str
    answer: str
    figure: Figure | None
    label: str
    methods: list[Method]
    behind: list[str]
    columns: list[str]
    rows: list[list[Any]]
    source: str
    command: str
    again: list[Option]
