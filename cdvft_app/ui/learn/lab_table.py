"""The table of recorded fits below the lab, beside the theorem and the counting bound."""

from __future__ import annotations

import json
from collections import defaultdict
from html import escape
from pathlib import Path
from statistics import mean
from typing import Any

from cdvft_app.ui.learn.lab_targets import TARGETS

FILE = Path(__file__).resolve().parents[3] / "benchmarks" / "results" / "fit_matrix.json"
FAMILIES = {
    "circulant_diagonal": "circulant-diagonal",
    "low_rank": "low rank",
    "fourier": "Fourier, chosen",
    "fourierft": "Fourier, random",
    "block_circulant": "circulant blocks",
}
TITLES = {key: title for title, key in TARGETS}
SIDE, FACTORS = 64, (2, 3, 5)


def recorded_table() -> str:
    """HTML; empty where nothing was recorded. benchmarks/fit_matrix.py writes the file."""
    if not FILE.is_file():
        return ""
    recorded = json.loads(FILE.read_text(encoding="utf-8"))
    tables = "".join(_table(recorded["rows"], m) for m in FACTORS)
    least, enough = recorded["bound"]["factors_needed"]
    return (
        f"<h3>What was recorded, for every kind of target at {SIDE} × {SIDE}</h3>"
        "<p>Relative error in percent, mean over seeds. The other families spend no more numbers than the "
        "factors do, and the smallest error of a row is bold.</p>"
        "<p>Theory beside it: Huhtanen and Perämäki (2015) prove that m\u00a0=\u00a0n is enough for a "
        f"generic complex matrix, and counting says that m under (n + 2) / 2 is not. At n\u00a0=\u00a010 "
        f"these are {enough} and {least}, and a random matrix, fitted with real factors, "
        f"gave {_bound(recorded['bound']['rows'])}. We know of no useful bound on the error at small m: "
        "these are measurements, found by search, and no proof.</p>"
        f'<div class="table-scroll" tabindex="0" role="region" aria-label="Recorded fits">{tables}</div>'
        f'<p class="quiet source">Recorded {escape(recorded["date"])}, {escape(recorded["machine"]["cpu"])}. '
        f"Again: <code>{escape(recorded['command'])}</code></p>"
    )


def _table(rows: list[dict[str, Any]], m: int) -> str:
    errors: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["n"] == SIDE and row["m"] == m:
            for family, fit in row["fits"].items():
                errors[row["target"]][family].append(fit["error"])
    head = "".join(f'<th scope="col">{title}</th>' for title in FAMILIES.values())
    body = "".join(_row(target, families) for target, families in errors.items())
    return (
        f"<table class='numbers'><caption>m = {m}: {(2 * m - 1) * SIDE:,} of {SIDE**2:,} numbers</caption>"
        f"<thead><tr><th scope='col'>target</th>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _row(target: str, families: dict[str, list[float]]) -> str:
    means = {family: mean(errors) for family, errors in families.items()}
    best = min(means.values())
    cells = (
        "<td></td>"
        if family not in means
        else f"<td>{'<b>' if means[family] <= best + 1e-9 else ''}{_percent(means[family])}"
        f"{'</b>' if means[family] <= best + 1e-9 else ''}</td>"
        for family in FAMILIES
    )
    return f'<tr><th scope="row">{escape(TITLES[target])}</th>{"".join(cells)}</tr>'


def _bound(rows: list[dict[str, Any]]) -> str:
    errors: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        errors[row["m"]].append(row["fits"]["circulant_diagonal"]["error"])
    return ", ".join(f"{_percent(mean(found))}\u00a0% at m\u00a0=\u00a0{m}" for m, found in errors.items())


def _percent(error: float) -> str:
    return "0" if error < 1e-5 else f"{100 * error:.1f}" if error >= 0.001 else f"{100 * error:.2g}"
