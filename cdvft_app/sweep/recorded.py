"""The sweeps that were recorded for the page; benchmarks/record_sweep.py writes the file."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from cdvft_app import ASSETS
from cdvft_app.judging.compared_runs import ComparedRun
from cdvft_app.judging.row_scores import of_wrong
from cdvft_app.payloads.compare import SweepShown
from cdvft_app.settings import RunSettings
from cdvft_app.sweep.results import JudgedSweep, payload

FILE = ASSETS / "recorded_sweep.json"


@lru_cache(maxsize=1)
def sweeps() -> dict[str, Any]:
    """Return the file's sweeps by recipe."""
    return json.loads(FILE.read_text(encoding="utf-8"))["sweeps"]


def recipes() -> list[tuple[str, str]]:
    """Key and title of each recorded sweep."""
    return [(key, one["title"]) for key, one in sweeps().items()]


def runs(recipe: str) -> list[ComparedRun]:
    """Return the runs of one recorded sweep, as the judge takes them."""
    one = sweeps()[recipe]
    return [
        ComparedRun(
            settings=RunSettings.model_validate(one["base"] | run["settings"]),
            state="failed" if run["metric"] is None else "finished",
            metric=run["metric"],
            parameters=run["trainable_parameters"],
            rows=run.get("rows", one["base"]["evaluation_examples"]),
            answers=of_wrong(run["rows"], run["wrong"]) if "wrong" in run else None,
        )
        for run in one["runs"]
    ]


@lru_cache(maxsize=8)
def _shown(recipe: str) -> SweepShown:
    one = sweeps()[recipe]
    return {
        **payload(JudgedSweep.of(runs(recipe), one["metric_name"])),
        "title": one["title"],
        "origin": one["origin"],
        "recorded": one["recorded"],
    }


def shown(recipe: object) -> SweepShown | None:
    """Return a recorded sweep as the page shows it; None where there is none of this recipe."""
    return _shown(recipe) if isinstance(recipe, str) and recipe in sweeps() else None
