"""Doubt: were the settings ever varied?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.evidence.drawing import axis, figure, name_of_y
from cdvft_app.format import joined
from cdvft_app.judging import verdict_text
from cdvft_app.judging.compared_runs import Configuration, configurations_of, line, symbol, tick_label, varied
from cdvft_app.judging.comparison_sets import ComparisonSet, judge_sweep
from cdvft_app.metrics import get_metric
from cdvft_app.payloads.compare import EvidenceFigure
from cdvft_app.sweep import recorded
from cdvft_app.ui.shared import form_address

SHORT = {"m": "m", "block_size": "p", "learning_rates": "rate", "seed": "seed"}
KINDS = {
    "sentiment": ("text", "circle"),
    "mnist": ("images", "square"),
    "addresses": ("generation", "diamond"),
}


def effects(configurations: list[Configuration]) -> dict[str, list[tuple[str, float]]]:
    """For each dimension of CDVFT its values with their best setting's score; last the seeds, with means."""
    found = {}
    for name in varied(configurations):
        spreads = line(configurations, name, "best")
        found[name] = [(tick_label("cdvft", name, value), one.mean) for value, one in spreads if one]
    seeds: dict[int, list[float]] = {}
    for one in configurations:
        for run in one.runs:
            if run.metric is not None:
                seeds.setdefault(run.settings.seed, []).append(run.metric)
    if len(seeds) > 1:
        found["seed"] = [(f"seed {seed}", sum(scores) / len(scores)) for seed, scores in seeds.items()]
    return found


def shown(compared: dict[str, ComparisonSet]) -> str:
    """Which dimensions are shown to matter, and on what: the judge's words, gathered."""
    decided: dict[str, list[str]] = {}
    for recipe, sweep in compared.items():
        for (method, name, _), verdict in sweep.along.items():
            if method == "cdvft" and verdict.word in ("ahead", "behind"):
                kinds = decided.setdefault(SHORT[name], [])
                kinds += [KINDS[recipe][0]] if KINDS[recipe][0] not in kinds else []
    listed = ", ".join(
        f"{name} ({'everywhere' if len(kinds) == len(compared) > 1 else ', '.join(kinds)})"
        for name, kinds in decided.items()
    )
    return f"Shown to matter: {listed}." if listed else "None is shown to matter."


def settings_that_matter() -> EvidenceFigure:
    """How far each setting moves CDVFT's score, in points, on every recorded sweep."""
    compared, data, rows, again = {}, [], [], []
    behind = [
        "Drawn are points of score between the best and the worst value of a setting, each at its own best "
        "of the other settings; of seeds between their means. The best are chosen by the scores that are "
        "drawn, so chance makes these distances too large; the verdicts correct for that choice."
    ]
    for recipe, title in recorded.recipes():
        sweep = recorded.sweeps()[recipe]
        runs = recorded.runs(recipe)
        compared[recipe] = verdicts = judge_sweep(runs, sweep["metric_name"])
        own = [one for one in configurations_of(runs) if one.method == "cdvft"]
        kind, mark = KINDS[recipe]
        found = effects(own)
        sizes = {name: spread_of(values) for name, values in found.items()}
        data.append(trace(kind, mark, sweep["metric_name"], sizes))
        for name, values in found.items():
            rows += [[title, name_of(name), tick, round(score, 4)] for tick, score in values]
        along = [one for (method, *_), one in verdicts.along.items() if method == "cdvft"]
        behind += [f"{title}: {' '.join(verdict_text.result(one) for one in along)}"]
        behind += [text for text in verdict_text.sentences(along)[-1:] if text not in behind]
        if verdicts.edges:
            behind.append(
                f"{title}: {verdict_text.SENTENCES['edge'].format(settings=joined(verdicts.edges))}"
            )
        again.append(best_again(own, title))
    missing = [kind for recipe, (kind, _) in KINDS.items() if recipe not in compared]
    if missing:
        behind.append(
            f"No sweep of {' or '.join(missing)} is recorded: python -m benchmarks.record_sweep "
            "--recipes addresses, then --publish."
        )
    sweeps = recorded.sweeps().values()
    return {
        "key": "settings",
        "doubt": "Settings varied?",
        "answer": shown(compared),
        "figure": figure(
            data,
            axis("points", rangemode="tozero"),
            {"autorange": "reversed", "ticks": ""},
            annotations=[name_of_y(legend(recorded.sweeps()))],
        ),
        "label": "By how much each setting of CDVFT moves the score, the others at their best",
        "methods": ["cdvft"],
        "behind": behind,
        "columns": ["Sweep", "Setting", "Value", "Score at its best"],
        "rows": rows,
        "source": "; ".join(f"{one['title']}: {one['origin']}, recorded {one['recorded']}" for one in sweeps),
        "command": "python -m benchmarks.record_sweep, then --publish",
        "again": again,
    }


def legend(recipes: Iterable[str]) -> str:
    """The meaning of the marks of the recorded sweeps."""
    signs = {"circle": "○", "square": "□", "diamond": "◇"}
    return "  ".join(f"{signs[mark]} {kind}" for kind, mark in map(KINDS.__getitem__, recipes))


def name_of(dimension: str) -> str:
    return dimension if dimension == "seed" else symbol("cdvft", dimension)


def spread_of(values: list[tuple[str, float]]) -> float:
    scores = [score for _, score in values]
    return max(scores) - min(scores)


def trace(kind: str, mark: str, metric: str, sizes: dict[str, float]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": kind,
        "x": [round(100 * size, 2) for size in sizes.values()],
        "y": [SHORT[name] for name in sizes],
        "marker": {"color": "var(--method-cdvft)", "symbol": mark, "size": 10},
        "text": [get_metric(metric).format_difference(size) for size in sizes.values()],
        "hovertemplate": f"{kind}, %{{y}}: %{{text}} points<extra></extra>",
        "cliponaxis": False,
    }


def best_again(configurations: list[Configuration], title: str) -> tuple[str, str]:
    """The form for the best setting's first seed."""
    best = max(
        (one for one in configurations if one.spread), key=lambda one: one.spread.mean if one.spread else 0
    )
    return form_address.query([best.runs[0].settings]), f"{title}: the best of these settings"
