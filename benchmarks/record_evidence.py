"""Write assets/evidence.json, the figures of Compare's page of evidence, and the verdicts on recorded races.

    python -m benchmarks.record_evidence

Nothing is measured and nothing trained: numbers come from benchmarks/results and the recorded sweeps,
verdicts from cdvft_app.judging. A test does the same and compares.
"""

from __future__ import annotations

import json

from benchmarks.equal_numbers import race_at_searched_rates
from benchmarks.evidence import races
from benchmarks.evidence.effects import same_learned
from benchmarks.evidence.equal_numbers import equal_numbers
from benchmarks.evidence.factors import few_factors
from benchmarks.evidence.generation import writing
from benchmarks.evidence.settings import settings_that_matter
from benchmarks.evidence.step_time import time_and_flops, where_it_loses
from benchmarks.machine import write_whole
from cdvft_app import ASSETS, catalog
from cdvft_app.decision import decide
from cdvft_app.payloads.compare import EvidenceFigure

FILE = ASSETS / "evidence.json"
FIGURES = (
    equal_numbers,
    few_factors,
    settings_that_matter,
    writing,
    time_and_flops,
    where_it_loses,
    same_learned,
)


def evidence() -> list[EvidenceFigure]:
    """The figures whose records are there."""
    return [drawn for figure in FIGURES if (drawn := figure()) is not None]


def text() -> str:
    """The file's contents."""
    return json.dumps(evidence(), separators=(",", ":"), ensure_ascii=False) + "\n"


def verdicts() -> str:
    """The contents of `RECORDED_VERDICTS`: of every recipe that was raced, and of those alike together.

    Alike are races with models of one kind and with one metric. Beside a race are those of its pairs that
    were trained anew at searched rates.
    """
    raced = [*races.record()["summary"]]
    alike: dict[str, list[str]] = {}
    for recipe in raced:
        key = f"{catalog.RECIPES[recipe].kind} {races.metric_of_race(recipe)}"
        alike.setdefault(key, []).append(recipe)
    anew = {one: race_at_searched_rates(one, races.metric_of_race(one)) for one in raced}
    judged = {
        "races": {one: decide.written(races.compared_race(one).between) for one in raced},
        "pooled": {key: decide.written(races.pooled(own)) for key, own in alike.items()},
        "at_searched_rates": {one: decide.written(found) for one, found in anew.items() if found},
    }
    return json.dumps(judged, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    for file, contents in ((FILE, text()), (decide.RECORDED_VERDICTS, verdicts())):
        write_whole(file, contents)
        print(f"Wrote {file.name}: {file.stat().st_size:,} bytes.")


if __name__ == "__main__":
    main()
