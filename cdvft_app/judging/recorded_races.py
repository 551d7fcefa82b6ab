"""The judge's verdicts on the recorded race of each recipe, as they are shipped."""

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


@cache
def race_verdicts(recipe: str) -> Verdicts:
    """Those on the recipe's recorded race, all judged together; empty where none is recorded."""
    found = json.loads(FILE.read_text(encoding="utf-8")).get(recipe, [])
    return {tuple(one.pop("methods")): _read(one) for one in found}


def written(verdicts: Verdicts) -> list[dict[str, Any]]:
    """As the file holds them."""
    return [{"methods": list(methods), **asdict(verdict)} for methods, verdict in verdicts.items()]


def _read(one: dict[str, Any]) -> Verdict:
    alone = one["alone"]
    return Verdict(**one | {"seeds": tuple(one["seeds"]), "alone": alone and tuple(alone)})
