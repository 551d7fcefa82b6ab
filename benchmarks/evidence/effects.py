"""Doubt: do two methods learn the same?"""

from __future__ import annotations

from statistics import mean
from typing import Any

from benchmarks.evidence.drawing import RESULTS, axis, figure, name_of_y, of_machine, read
from cdvft_app import catalog
from cdvft_app.format import counted
from cdvft_app.payloads.compare import EvidenceFigure

FILE = "effects.json"
ORTHOGONAL, ALIKE, SHIFT = 0.1, 0.2, 0.75
"""What was seen on twenty tokens and one seed, as bounds that every seed has to keep: no two updates have a
larger cosine, somewhere two effects have at least the second, and there that much of LoRA's is one shift."""
SIGNS = (("updates", "circle-open", "updates"), ("effects", "circle", "effects on tokens"))
INKS = {"updates": "var(--ink-soft)", "effects": "var(--ink)", "centred": "var(--ink)"}
CENTRED = ("centred", "line-ew-open", "centred effects")


def same_learned() -> EvidenceFigure | None:
    """Cosines of updates and of effects at each layer; None where nothing is recorded."""
    return figure_of(read(FILE)) if (RESULTS / FILE).is_file() else None


def figure_of(record: dict[str, Any]) -> EvidenceFigure:
    """The figure of a record of benchmarks/effects.py."""
    recipes = list(dict.fromkeys(run["recipe"] for run in record["runs"]))
    return {
        "key": "effects",
        "doubt": "Same updates as LoRA?",
        "answer": verdict(record["runs"], recipes),
        "figure": drawn(record["runs"], recipes),
        "label": "Cosine of CDVFT's and LoRA's updates, and of their effects on real inputs, by layer",
        "methods": [],
        "behind": [
            f"Different: no cosine of two updates reaches {ORTHOGONAL}, at any layer or for any seed; of two "
            "random d × d updates it is 0 ± 1 / d. "
            f"Similar: at the layer where they are most alike, effects have a cosine of at least {ALIKE} for "
            "every seed.",
            *(told(record["runs"], recipe) for recipe in recipes),
            "Twenty tokens and one seed of Sentiment of film reviews had shown different updates, effects "
            "with a cosine of up to 0.44, and 90\u00a0% of LoRA's effect there as one shift common to all "
            f"tokens (here: at least {100 * SHIFT:.0f}\u00a0%). "
            + " ".join(f"{title(recipe)}, {held(record['runs'], recipe)}." for recipe in recipes),
            "Open circles are cosines of updates, filled ones those of their effects on held-out tokens or "
            "patches, dashes the same with the effects centred, that is without the shift common to all "
            "tokens; one mark a seed.",
            "The layer with the most alike effects is chosen after they were seen: of so many layers one is "
            "always ahead, by chance too.",
        ],
        "columns": ["Recipe", "Seed", "Layer", "Cosine of updates", "of effects", "without the shift",
                    "Common in CDVFT's effect", "in LoRA's"],
        "rows": [
            [title(run["recipe"]), run["seed"], layer["module"], layer["with_lora"]["updates"],
             layer["with_lora"]["effects"], layer["with_lora"]["centred"], layer["common"], other["common"]]
            for run, lora in pairs(record["runs"])
            for layer, other in zip(run["layers"], lora["layers"], strict=True)
        ],
        "source": " and ".join(dict.fromkeys(of_machine(one) for one in record["machines"])),
        "command": f"{record['command']} --recipes {' '.join(recipes)}",
        "again": [],
    }  # fmt: skip


def pairs(runs: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """CDVFT's run and LoRA's of each recipe and seed."""
    lora = {(run["recipe"], run["seed"]): run for run in runs if run["method"] == "lora"}
    return [(run, lora[run["recipe"], run["seed"]]) for run in runs if run["method"] == "cdvft"]


def of_recipe(runs: list[dict[str, Any]], recipe: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [both for both in pairs(runs) if both[0]["recipe"] == recipe]


def closest(runs: list[dict[str, Any]], recipe: str) -> int:
    """The place of the layer whose effects have the largest cosine, in the mean over seeds."""
    every = [[layer["with_lora"]["effects"] for layer in run["layers"]] for run, _ in of_recipe(runs, recipe)]
    means = [mean(values) for values in zip(*every, strict=True)]
    return means.index(max(means))


def title(recipe: str) -> str:
    """The recipe's title on the page."""
    known = catalog.RECIPES.get(recipe)
    return known.title if known else recipe


def spread(values: list[float]) -> str:
    least, most = (f"{end(values):.2f}" for end in (min, max))
    return least if least == most else f"{least} to {most}"


def share(values: list[float]) -> str:
    least, most = (f"{100 * end(values):.0f}" for end in (min, max))
    return f"{least if least == most else f'{least} to {most}'}\u00a0%"


def numbers(runs: list[dict[str, Any]], recipe: str) -> dict[str, Any]:
    """The numbers that the sentences say of a recipe."""
    place, both = closest(runs, recipe), of_recipe(runs, recipe)
    at = [run["layers"][place] for run, _ in both]
    return {
        "seeds": len(both),
        "layer": at[0]["module"],
        "updates": max(abs(one["with_lora"]["updates"]) for run, _ in both for one in run["layers"]),
        "effects": [one["with_lora"]["effects"] for one in at],
        "centred": [one["with_lora"]["centred"] for one in at],
        "shift": [lora["layers"][place]["common"] for _, lora in both],
    }


def held(runs: list[dict[str, Any]], recipe: str) -> str:
    """Which part of what was seen once holds for every seed."""
    found = numbers(runs, recipe)
    parts = (
        (found["updates"] < ORTHOGONAL, "different updates"),
        (min(found["effects"]) >= ALIKE, "similar effects"),
        (min(found["shift"]) >= SHIFT, "LoRA's common shift"),
    )
    kept = [text for holds, text in parts if holds]
    lost = [text for holds, text in parts if not holds]
    return "; ".join(
        f"{where}: {', '.join(texts)}"
        for where, texts in (("in every seed", kept), ("not in every seed", lost))
        if texts
    )


def verdict(runs: list[dict[str, Any]], recipes: list[str]) -> str:
    """Whether updates and effects are alike in every seed, and on how many of the recipes."""
    found = [numbers(runs, recipe) for recipe in recipes]
    different = max(one["updates"] for one in found) < ORTHOGONAL
    alike = sum(min(one["effects"]) >= ALIKE for one in found)
    return (
        f"{'Different' if different else 'Some similar'} updates; similar effects on {alike or 'none'} of "
        f"{counted(len(recipes), 'recipe')}."
    )


def told(runs: list[dict[str, Any]], recipe: str) -> str:
    found = numbers(runs, recipe)
    return (
        f"{title(recipe)}, {counted(found['seeds'], 'seed')}: no two updates have a cosine above "
        f"{found['updates']:.3f}. The effects are most alike in {found['layer']}: "
        f"{spread(found['effects'])}, without the shift common to all tokens {spread(found['centred'])}; "
        f"{share(found['shift'])} of LoRA's effect there is that shift."
    )


def drawn(runs: list[dict[str, Any]], recipes: list[str]) -> dict[str, Any]:
    """Layers of all recipes side by side; of each the seeds."""
    data, ticks, names, start = [], [], [], 0
    for recipe in recipes:
        both = of_recipe(runs, recipe)
        count = len(both[0][0]["layers"])
        for name, symbol, what in (*SIGNS, CENTRED):
            places = [start + place for _ in both for place in range(count)]
            values = [layer["with_lora"][name] for run, _ in both for layer in run["layers"]]
            data.append({
                "type": "scatter", "mode": "markers", "x": places, "y": values,
                "name": f"{title(recipe)}, {what}",
                "marker": {"symbol": symbol, "size": 5, "opacity": 0.8, "color": INKS[name]},
                "hovertemplate": f"{title(recipe)}, {what}: %{{y:.3f}}<extra></extra>",
            })  # fmt: skip
        ticks.append(start + (count - 1) / 2)
        names.append(recipe)
        start += count + 1
    return figure(
        data,
        axis("layers", type="linear", range=[-1, start - 1], tickvals=ticks, ticktext=names),
        axis(""),
        annotations=[name_of_y("cosine  ○ updates  ● effects  – centred")],
    )
