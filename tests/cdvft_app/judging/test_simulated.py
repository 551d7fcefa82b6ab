"""What the page says of the judge's mistakes and power is what `python -m benchmarks.judge` recorded."""

from __future__ import annotations

import json
from pathlib import Path

from cdvft_app.ui.use.examples import TEST

RECORD = json.loads((Path(__file__).parents[3] / "benchmarks/results/judge.json").read_text(encoding="utf-8"))


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def test_ties_are_called_different_in_six_percent_of_cases_at_most() -> None:
    alarms = {name: share for name, share in RECORD.items() if name.startswith("false alarms")}
    assert (len(alarms), RECORD["ties"]) == (8, 2000)
    assert max(alarms.values()) <= 0.06


def test_the_page_says_how_often_a_gap_of_two_points_is_seen() -> None:
    said = " ".join(TEST.split())
    tied = percent(RECORD["false alarms, methods of 5 seeds, 1,000 rows, accuracy"])
    five, eight, twelve = (
        percent(RECORD[f"seen, methods 2 points apart, {seeds} seeds, 1,000 rows, accuracy"])
        for seeds in (5, 8, 12)
    )
    assert f"of 2,000 simulated pairs of equal methods, {tied} of those scored by accuracy" in said
    assert f"five seeds saw it in {five} of cases, eight in {eight}, twelve in {twelve}" in said
