"""The payload of the judge: a verdict on two runs or two methods, wherever it is shown."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict


class Verdict(TypedDict):
    """`first` is `word` of or as `second`; see cdvft_app/judging/verdict.py. The last three are its text."""

    first: str
    second: str
    word: Literal["ahead", "behind", "as good", "not shown"]
    about: Literal["runs", "methods"]
    metric_name: str
    size: float
    low: float | None
    high: float | None
    confidence: float
    p: float | None
    rows: int | None
    seeds: list[int]
    paired: bool
    family: int
    chosen: Literal["other seeds and rows", "other seeds", "other rows", "all"] | None
    alone: list[int] | None
    more_rows: int | None
    more_seeds: int | None
    result: str
    settled_by: str
    basis: str
