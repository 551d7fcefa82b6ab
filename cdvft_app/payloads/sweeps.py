"""Payloads of the sweeps on the Compare tab."""

from __future__ import annotations

from typing import Any

from typing_extensions import NotRequired, TypedDict

from cdvft_app.payloads.compare import Choice
from cdvft_app.payloads.judging import Verdict
from cdvft_app.payloads.shared import Charted, Method


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
    settings: list[SweepSetting]
    heatmaps: list[SweepHeatmap]
    lines: list[SweepLines]
    answer: str
    sentences: list[str]
    verdicts: list[Verdict]


class SweepShown(SweepResults):
    """A sweep of the store, or one that was `recorded` (when and where); `created` in seconds since 1970."""

    title: str
    origin: str
    device: NotRequired[str | None]
    created: NotRequired[float]
    recorded: NotRequired[str]


class SweepProgress(TypedDict):
    """How many runs are in which state; `seconds_left` is None until one has finished."""

    runs: int
    states: dict[str, int]
    waiting: int
    ended: int
    seconds_left: float | None


class SweepAnswer(TypedDict, total=False):
    """A sweep's progress, and its results unless the page has those of `known` already; or `missing`."""

    missing: bool
    progress: SweepProgress
    mine: bool
    known: str
    shown: SweepShown | None


class SweepView(TypedDict):
    """A sweep of the store, or the one in the address where `group` is None."""

    group: str | None
    token: str


class SweepFixed(Charted):
    recorded: list[Choice]
