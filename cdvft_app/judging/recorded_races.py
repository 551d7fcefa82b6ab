"""The judge's verdicts on each recipe's recorded race and on like races together, as they are shipped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from cdvft_app import ASSETS
from cdvft_app.judging.verdict import Verdict

FILE = ASSETS / "race_verdicts.json"  # written by benchmarks/record_evidence.py
Verdicts = Mapping[tuple[str, str], Verdict]
"""By both methods' keys, the first one's as the key of the verdict's first side."""


def race_verdicts(recipe: str) -> Verdicts:
    """Those on the recipe's recorded race, all judged together; empty where none is recorded."""
    return read_verdicts("races").get(recipe, {})


def pooled_verdicts(kind: str) -> list[Verdicts]:
    """Those over all recorded races with models of this kind, for each metric that they have."""
    return [verdicts for key, verdicts in read_verdicts("pooled").items() if key.partition(" ")[0] == kind]


def raced_recipes() -> list[str]:
    return [*read_verdicts("races")]


def written(verdicts: Verdicts) -> list[dict[str, Any]]:
    """As the file holds them."""
    return [{"methods": list(methods), **asdict(verdict)} for methods, verdict in verdicts.items()]


@cache
def read_verdicts(part: str) -> dict[str, Verdicts]:
    """Of the file's `races` by recipe, or its `pooled` ones by kind and metric."""
    found = json.loads(FILE.read_text(encoding="utf-8"))[part]
    return {key: {tuple(one.pop("methods")): _verdict(one) for one in own} for key, own in found.items()}


def _verdict(one: dict[str, Any]) -> Verdict:
    alone = one["alone"]
    return Verdict(**one | {"seeds": tuple(one["seeds"]), "alone": alone and tuple(alone)})
