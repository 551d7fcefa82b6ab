"""Write assets/evidence.json, the figures of Compare's page of evidence, and the verdicts on recorded races.

    python -m benchmarks.record_evidence

Nothing is measured and nothing trained: numbers come from benchmarks/results and the recorded sweeps,
verdicts from cdvft_app.judging. A test does the same and compares.
"""

from __future__ import annotations

import json

from benchmarks.evidence import races
from benchmarks.evidence.effects import same_learned
from benchmarks.evidence.equal_numbers import equal_numbers
from benchmarks.evidence.factors import few_factors
from benchmarks.evidence.generation import writing
from benchmarks.evidence.settings import settings_that_matter
from benchmarks.evidence.step_time import time_and_flops, where_it_loses
from benchmarks.machine import write_whole
from cdvft_app import ASSETS
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


def recorded_races() -> str:
    """The contents of `RECORDED_RACES`: scores with 95% intervals, and verdicts, by recipe."""
    found = {}
    for recipe in races.record()["summary"]:
        scores = {method: [round(of, 9) for of in score] for method, score in races.scores(recipe).items()}
        verdicts = decide.written(races.compared_race(recipe).between)
        found[recipe] = {"scores": scores, "verdicts": verdicts}
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    for file, contents in ((FILE, text()), (decide.RECORDED_RACES, recorded_races())):
        write_whole(file, contents)
        print(f"Wrote {file.name}: {file.stat().st_size:,} bytes.")


if __name__ == "__main__":
    main()
