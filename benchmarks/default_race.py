"""Race the methods as the app does by default, over five seeds, and write down what came out.

    python -m benchmarks.default_race [--recipes sentiment mnist] [--methods cdvft ...] [--seeds 0 1 2 3 4]
        [--cluster ray://host:10001]

Every run is the recipe's own: its learning rates, its evaluation rows. Runs follow one another in one
process, or train on a Ray cluster. Writes benchmarks/results/default_race.json after every run; run again to
go on where it was cut off. A run is done again when its settings in the catalogue have changed. `wrong`
holds the evaluation rows that a run got wrong (a class, or an answer that it wrote), so that methods can be
compared row by row.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.machine import machines, read_record, write_record
from benchmarks.trained import Trained, add_option, train_each, train_one

if TYPE_CHECKING:
    from cdvft_app.settings import RunSettings

RESULTS = Path(__file__).parent / "results" / "default_race.json"


def race(recipe: str, method: str, seed: int) -> dict[str, Any]:
    """One run in this process, as it is recorded."""
    return recorded(train_one(_settings(recipe, method, seed)))


def _settings(recipe: str, method: str, seed: int) -> RunSettings:
    from cdvft_app.settings import RunSettings

    return RunSettings(recipe=recipe, method=method, seed=seed, keep="last")


def recorded(one: Trained) -> dict[str, Any]:
    """The record of one run.

    Seconds are of training alone, wall seconds of all of it but the imports. On a cluster wall seconds
    include the wait for a node, whose load is not known.

    Raises:
        RuntimeError: it failed.
    """
    from cdvft_app.catalog import resolve
    from cdvft_app.events import Done, Started, Step
    from cdvft_app.training.loop import head_learning_rate

    if one.failed:
        raise RuntimeError(one.failed)
    plan, done, started = resolve(one.settings), one.last(Done), one.last(Started)
    first = next(at for event, at in zip(one.events, one.times, strict=True) if isinstance(event, Step))
    return {
        "recipe": plan.settings.recipe,
        "method": plan.settings.method.key,
        "seed": plan.settings.seed,
        "settings": plan.settings.model_dump(mode="json"),
        "head_learning_rate": head_learning_rate(plan),
        "metric_name": done.metric_name,
        "metric": done.metric,
        **one.rows(),
        "trainable_parameters": started.trainable_parameters,
        "head_parameters": started.head_parameters,
        "steps": done.step,
        "seconds": round(done.seconds, 1),
        "wall_seconds": round(one.seconds, 1),
        "seconds_to_first_step": round(first, 1),
        "examples_per_second": round(done.examples_per_second, 1),
        "adapter_bytes": done.adapter_bytes,
        "device": started.device,
        "load_average": None if one.node else round(os.getloadavg()[0], 1),
        **({"node": one.node} if one.node else {}),
    }


def same(run: dict[str, Any], recipe: str, method: str, seed: int) -> bool:
    """Whether a recorded run is this one, with the settings that the catalogue has now."""
    from cdvft_app.catalog import resolve
    from cdvft_app.settings import RunSettings
    from cdvft_app.training.loop import head_learning_rate

    plan = resolve(_settings(recipe, method, seed))
    return (
        run["recipe"] == recipe
        and RunSettings.model_validate({"keep": "last", **run["settings"]}) == plan.settings
        and run["head_learning_rate"] == head_learning_rate(plan)
        and ("wrong" in run or run["metric_name"] not in ("accuracy", "exact_match"))
    )


def summary(runs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Mean, extremes and number of seeds, by recipe and method."""
    by_recipe: dict[str, dict[str, Any]] = {}
    for recipe, method in dict.fromkeys((run["recipe"], run["method"]) for run in runs):
        group = [run for run in runs if (run["recipe"], run["method"]) == (recipe, method)]
        metrics = [run["metric"] for run in group]
        by_recipe.setdefault(recipe, {})[method] = {
            "mean": round(statistics.mean(metrics), 4),
            "lowest": round(min(metrics), 4),
            "highest": round(max(metrics), 4),
            "seeds": len(group),
            "trainable_parameters": group[0]["trainable_parameters"],
            "median_seconds": statistics.median(run["seconds"] for run in group),
            "median_wall_seconds": statistics.median(run["wall_seconds"] for run in group),
        }
    return by_recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=["sentiment", "mnist"])
    parser.add_argument("--methods", nargs="+", default=["cdvft", "lora", "fourierft"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    add_option(parser)
    chosen = parser.parse_args()
    record = read_record(RESULTS)
    runs, ran_on = record.get("runs", []), machines(record.get("machines", []))

    def keep(one: Trained) -> None:
        nonlocal runs
        found = recorded(one)
        key = [found[name] for name in ("recipe", "method", "seed")]
        runs = [run for run in runs if [run["recipe"], run["method"], run["seed"]] != key]
        runs.append(found)
        print(json.dumps(found), flush=True)
        text = {
            "command": "python -m benchmarks.default_race",
            "machines": ran_on,
            "seconds": "not for comparing methods unless load_average was below the number of cores",
            "summary": summary(runs),
            "runs": runs,
        }
        write_record(RESULTS, text)

    left = [
        _settings(recipe, method, seed)
        for recipe in chosen.recipes
        for seed in chosen.seeds
        for method in chosen.methods
        if not any(same(run, recipe, method, seed) for run in runs)
    ]
    train_each(left, keep, chosen.cluster)


if __name__ == "__main__":
    main()
