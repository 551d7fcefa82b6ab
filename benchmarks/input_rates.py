"""Do input diagonals want a learning rate of their own? Chosen on validation rows, confirmed on others.

    python -m benchmarks.input_rates [--recipes mnist sentiment addresses sql]

The input diagonal, which begins at ones, is trained at 1, 2, 4 ... 256 times the rate of the other factors
(`cdvft.create_optimizer`), each crossed with 0.3 and 1 times the recipe's rate: a larger ratio is not to win
by a rate that was too low. Of each ratio the rate with the lowest validation loss is taken, the mean of two
seeds; then the best ratio above 1 and ratio 1, each at its own rate, train with seeds 0 to 4, which chose
nothing, and are judged row by row on the evaluation rows. Every run is the recipe's own but for these two
settings.

It says how many hours it will take before it starts. Writes benchmarks/results/input_rates.json after every
run; run again to go on where it was cut off.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.machine import machine, write_whole
from benchmarks.record_sweep import read_once, run
from benchmarks.trained import contestant
from cdvft_app.catalog import get_recipe
from cdvft_app.settings import RunSettings

RESULTS = Path(__file__).parent / "results" / "input_rates.json"
RACES = RESULTS.with_name("default_race.json")
RECIPES = ("mnist", "sentiment", "addresses", "sql")
RATIOS, MULTIPLES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0), (0.3, 1.0)
CHOOSING_SEEDS, SEEDS = (1234, 1235), (0, 1, 2, 3, 4)
Record = dict[str, Any]


def settings(recipe: str, ratio: float, multiple: float, seed: int, choosing: bool) -> RunSettings:
    """One run, on validation rows where it chooses."""
    rate = float(f"{get_recipe(recipe).learning_rates['cdvft'] * multiple:.3g}")
    method = {"method": "cdvft", "learning_rate": rate, "input_diagonal_lr_ratio": ratio}
    rows = "validation" if choosing else "evaluation"
    chosen = {"recipe": recipe, "method": method, "seed": seed, "evaluate_on": rows, "keep": "last"}
    return RunSettings.model_validate(chosen)


def plan(kept: list[Record]) -> Iterable[tuple[float, float, int, bool]]:
    """The (ratio, multiple, seed, whether it chooses) of the runs that are left, as far as that is known."""
    ended = {(one["ratio"], one["multiple"], one["seed"], one["chooses"]) for one in kept}
    wanted = [
        (ratio, multiple, seed, True) for seed in CHOOSING_SEEDS for ratio in RATIOS for multiple in MULTIPLES
    ]
    if all(one in ended for one in wanted):
        wanted += [(*setting, seed, False) for seed in SEEDS for setting in finalists(kept)]
    return [one for one in wanted if one not in ended]


def finalists(kept: list[Record]) -> tuple[tuple[float, float], tuple[float, float]]:
    """The (ratio, multiple) of the best ratio above 1, and of ratio 1, each at its own best rate."""
    losses: dict[tuple[float, float], list[float]] = {}
    for one in kept:
        if one["chooses"]:
            loss = float("inf") if one["loss"] is None else one["loss"]
            losses.setdefault((one["ratio"], one["multiple"]), []).append(loss)
    means = {setting: statistics.fmean(of) for setting, of in losses.items()}
    higher = min((one for one in means if one[0] > 1), key=means.__getitem__)
    return higher, min((one for one in means if one[0] == 1), key=means.__getitem__)


def hours(recipes: Iterable[str], record: Record) -> float:
    """The hours for all runs that are left, each as long as CDVFT's took in the recorded races."""
    summary = json.loads(RACES.read_text())["summary"]
    whole = len(RATIOS) * len(MULTIPLES) * len(CHOOSING_SEEDS) + 2 * len(SEEDS)
    seconds = 0.0
    for recipe in recipes:
        left = whole - len(record["runs"].get(recipe, []))
        seconds += left * summary[recipe]["cdvft"]["median_wall_seconds"]
    return seconds / 3600


def verdict(recipe: str, kept: list[Record]) -> str | None:
    """The judge's sentence on the finalists; None before both have all seeds."""
    from cdvft_app.catalog import get_dataset
    from cdvft_app.judging.judge import Pair, judge
    from cdvft_app.judging.verdict_text import result

    if any(True for _ in plan(kept)):
        return None
    sides = []
    for ratio, multiple in finalists(kept):
        own = (one for one in kept if (one["ratio"], one["multiple"]) == (ratio, multiple))
        label = f"CDVFT with input diagonals at {ratio:g} times its rate"
        sides.append(contestant(label, (one for one in own if not one["chooses"])))
    metric_name = get_dataset(get_recipe(recipe).dataset).metric
    (found,) = judge([Pair((sides[0],), (sides[1],))], metric_name)
    return result(found).replace("\u00a0", " ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=RECIPES)
    chosen = parser.parse_args()
    record: Record = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"runs": {}, "verdicts": {}}
    print(f"About {hours(chosen.recipes, record):.1f} hours.", flush=True)
    with read_once():
        for recipe in chosen.recipes:
            kept = record["runs"].setdefault(recipe, [])
            while left := list(plan(kept)):
                ratio, multiple, seed, chooses = left[0]
                result = run(settings(recipe, ratio, multiple, seed, chooses))
                told = {"ratio": ratio, "multiple": multiple, "seed": seed, "chooses": chooses}
                kept.append(told | {name: result.get(name) for name in ("loss", "metric", "rows", "wrong")})
                _keep(record)
                print(f"{recipe} {told}: {result.get('loss')} {result['metric']}", flush=True)
            record["verdicts"][recipe] = verdict(recipe, kept)
            _keep(record)
            print(record["verdicts"][recipe], flush=True)


def _keep(record: Record) -> None:
    command, day = "python -m benchmarks.input_rates", time.strftime("%d %B %Y")
    whole = {"command": command, "day": day, "machine": machine()}
    write_whole(RESULTS, json.dumps(whole | record, indent=1) + "\n")


if __name__ == "__main__":
    main()
