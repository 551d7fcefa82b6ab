"""Doubt: there was no generation."""

from __future__ import annotations

from statistics import mean
from typing import Any

from benchmarks.evidence import races
from benchmarks.evidence.drawing import axis, figure, name_of_y, of_machine, of_method, read
from cdvft_app.judging import words
from cdvft_app.methods import METHODS
from cdvft_app.payloads.evidence import EvidenceFigure
from cdvft_app.sweep import recorded
from cdvft_app.ui.shared import form_address

RECIPE = "addresses"


def writing() -> EvidenceFigure:
    """Each seed's share of addresses without a mistake, for each method."""
    record, runs = races.record(), races.recorded_runs(RECIPE)
    verdicts = races.family_of_race(RECIPE).against("cdvft")
    data = []
    for method in races.ADAPTERS:
        scores = [100 * run["metric"] for run in runs if run["method"] == method]
        title = METHODS[method].title
        data.append(
            of_method(
                method,
                [title] * len(scores),
                scores,
                "markers",
                hovertemplate=f"{title}: %{{y:.1f}} %<extra></extra>",
                cliponaxis=False,
            )
        )
        data.append(
            {
                "type": "scatter", "mode": "markers", "x": [title], "y": [mean(scores)],
                "marker": {"symbol": "line-ew-open", "size": 34, "color": "var(--ink)"},
                "hovertemplate": f"{title}, mean of seeds: %{{y:.1f}} %<extra></extra>",
            }
        )  # fmt: skip
    untrained = read("untrained_addresses.json")
    first = [races.settings_of_run(run) for run in runs if run["seed"] == 0]
    return {
        "key": "generation",
        "doubt": "Does it write?",
        "answer": words.result(verdicts[0]),
        "figure": figure(
            data,
            {"type": "category", "range": [-0.5, 2.5]},
            axis("", range=[0, 100]),
            annotations=[name_of_y("right, %")],
        ),
        "label": "Share of held-out addresses without a mistake, each seed of each method",
        "methods": list(races.ADAPTERS),
        "behind": [
            "SmolLM2-135M writes number, street, unit, city, state and zip of held-out addresses; right "
            "means all of them right. A point is a seed, the dash their mean.",
            *words.sentences(verdicts),
            *baselines(untrained),
            not_recorded(),
        ],
        "columns": ["Method", "Seed", "Exact match", "Parameters", "Steps"],
        "rows": [
            [METHODS[run["method"]].title, run["seed"], round(run["metric"], 4), run["trainable_parameters"],
             run["steps"]]
            for run in runs
        ],
        "source": "; ".join(of_machine(one, "Recorded on") for one in record["machines"][-1:]),
        "command": "python -m benchmarks.default_race --recipes addresses",
        "again": [(form_address.query(first), "The race, seed 0")],
    }  # fmt: skip


def not_recorded() -> str:
    sweep = "a sweep of m, p and rate (python -m benchmarks.record_sweep --recipes addresses), "
    return (
        f"Not recorded: {'' if RECIPE in recorded.sweeps() else sweep}"
        "free text, models of 1 to 8 billion weights."
    )


def baselines(untrained: dict[str, Any]) -> list[str]:
    told, shown = (100 * untrained[key]["exact_match"] for key in ("told", "shown"))
    return [
        f"Without training: {told:.0f} % when told the same, {shown:.1f} % with three examples in the prompt."
    ]
