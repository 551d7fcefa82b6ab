"""Doubt: there was no generation."""

from __future__ import annotations

from statistics import mean
from typing import Any

from benchmarks import equal_numbers
from benchmarks.evidence import races
from benchmarks.evidence.drawing import RESULTS, axis, figure, name_of_y, of_machine, of_method, read
from cdvft_app import catalog
from cdvft_app.judging import verdict_text
from cdvft_app.judging.judge import Verdict
from cdvft_app.methods import METHODS
from cdvft_app.payloads.compare import EvidenceFigure
from cdvft_app.sweep import recorded
from cdvft_app.ui.shared import form_address

RECIPE = "addresses"
TOLD = {
    "addresses": (
        "Addresses: SmolLM2-135M writes number, street, unit, city, state and zip of held-out ones; right "
        "means all of them right."
    ),
    "sql": "SQL: it writes the query for a held-out question about a table; right means all of it right.",
}
"""What is learned, by recipe; drawn are those that are recorded."""
SIGNS = {"addresses": ("●", ""), "sql": ("○", "-open")}
"""The mark that stands for a recipe, and what it adds to the name of a method's marker."""


def writing() -> EvidenceFigure:
    """Each seed's share of answers without a mistake, for each method."""
    recipes = [recipe for recipe in TOLD if races.recorded_runs(recipe)]
    runs = [run for recipe in recipes for run in races.recorded_runs(recipe)]
    verdicts = {recipe: races.compared_race(recipe).against("cdvft") for recipe in recipes}
    said = [text for recipe in recipes for text in said_of(recipe, verdicts[recipe])]
    answer, at_searched_rates = answers(verdicts[RECIPE][0])
    return {
        "key": "generation",
        "doubt": "Does it write?",
        "answer": answer,
        "figure": drawn(recipes),
        "label": "Share of held-out answers without a mistake, each seed of each method",
        "methods": list(races.ADAPTERS),
        "behind": list(
            dict.fromkeys(
                ["A point is a seed, the dash their mean.", *at_searched_rates, *said, not_recorded()]
            )
        ),
        "columns": ["Recipe", "Method", "Seed", "Exact match", "Parameters", "Steps"],
        "rows": [
            [run["recipe"], METHODS[run["method"]].title, run["seed"], round(run["metric"], 4),
             run["trainable_parameters"], run["steps"]]
            for run in runs
        ],
        "source": " and ".join(dict.fromkeys(of_machine(one) for one in races.record()["machines"])),
        "command": f"python -m benchmarks.default_race --recipes {' '.join(recipes)}",
        "again": [(again(recipe), f"The race of {recipe}, seed 0") for recipe in recipes],
    }  # fmt: skip


def answers(raced: Verdict) -> tuple[str, list[str]]:
    """Return the race's answer, and what other runs say of its pair at searched rates, which it names."""
    (method,) = [key for key in races.ADAPTERS if METHODS[key].title == raced.second]
    metric_name = catalog.get_dataset(catalog.get_recipe(RECIPE).dataset).metric
    searched = equal_numbers.race_at_searched_rates(RECIPE, metric_name).get(("cdvft", method))
    told = verdict_text.result(raced).removeprefix("CDVFT is ")
    if searched is None or not verdict_text.depends_on_runs(raced, searched):
        return f"{RECIPE.capitalize()}: {told}", []
    if raced.word in ("ahead", "behind"):
        told = f"{told.partition(' by ')[0]}, {verdict_text.BY_RUNS}."
    return f"{RECIPE.capitalize()}: {told}", [verdict_text.at_searched_rates([searched])]


def again(recipe: str) -> str:
    """The form for the recipe's race of the first seed."""
    return form_address.query(
        [races.settings_of_run(run) for run in races.recorded_runs(recipe) if run["seed"] == 0]
    )


def drawn(recipes: list[str]) -> dict[str, Any]:
    """The methods side by side; of each the recipes side by side."""
    count = len(races.ADAPTERS)
    signs = "".join(f"  {SIGNS[recipe][0]} {recipe}" for recipe in recipes) if len(recipes) > 1 else ""
    middle = (len(recipes) - 1) / 2
    return figure(
        [one for place, recipe in enumerate(recipes) for one in traces(recipe, place - middle)],
        {
            "type": "linear",
            "range": [-0.5, count - 0.5],
            "tickvals": list(range(count)),
            "ticktext": [METHODS[method].title for method in races.ADAPTERS],
        },
        axis("", range=[0, 100]),
        annotations=[name_of_y(f"right, %{signs}")],
    )


def traces(recipe: str, shift: float) -> list[dict[str, Any]]:
    """The traces of each method's seeds on a recipe and their mean, `shift` places from the method's own."""
    runs = races.recorded_runs(recipe)
    found = []
    for place, method in enumerate(races.ADAPTERS):
        scores = [100 * run["metric"] for run in runs if run["method"] == method]
        x, name = place + 0.3 * shift, f"{METHODS[method].title}, {recipe}"
        own = of_method(
            method, [x] * len(scores), scores, "markers",
            hovertemplate=f"{name}: %{{y:.1f}} %<extra></extra>", cliponaxis=False,
        )  # fmt: skip
        own["marker"]["symbol"] += SIGNS[recipe][1]
        found += [
            own,
            {
                "type": "scatter", "mode": "markers", "x": [x], "y": [mean(scores)],
                "marker": {"symbol": "line-ew-open", "size": 24, "color": "var(--ink)"},
                "hovertemplate": f"{name}, mean of seeds: %{{y:.1f}} %<extra></extra>",
            },
        ]  # fmt: skip
    return found


def said_of(recipe: str, verdicts: list[Any]) -> list[str]:
    """Sentences on what is learned, by the judge, and on what the model reaches without training."""
    file = f"untrained_{recipe}.json"
    untrained = [baselines(read(file))] if (RESULTS / file).is_file() else []
    return [TOLD[recipe], *verdict_text.sentences(verdicts), *untrained]


def not_recorded() -> str:
    sweep = "a sweep of m, p and rate (python -m benchmarks.record_sweep --recipes addresses), "
    return (
        f"Not recorded: {'' if RECIPE in recorded.sweeps() else sweep}"
        "free text, models of 1 to 8 billion weights."
    )


def baselines(untrained: dict[str, Any]) -> str:
    same, shown = (100 * untrained[key]["exact_match"] for key in ("told", "shown"))
    rest = f"{shown:.1f} % with three examples in the prompt."
    return f"Without training: {same:.0f} % given the same prompt, {rest}"
