"""Find every method's learning rate by the same search, and write all tries down.

    python -m benchmarks.learning_rates [--recipes sentiment mnist]

The head's rate comes first, from four tries with the head alone; every method then trains the head at the
winner's rate. Each method has five tries of its own rate: four, about three times apart, around its usual
range, and a fifth where these four point to (`fifth_rate`). All tries have one seed, none of those that are
reported. A try trains as the recipe says and is judged on rows of the training split that it did not train
on, so that the rows on which the app evaluates are never looked at. The best accuracy wins, a tie goes to the
lower loss. CDVFT's other starts (`init_weights`) are searched in the same way at the end.

Writes benchmarks/results/learning_rates.json after every try; run again to go on where it was cut off.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "learning_rates.json"
SEED = 1234
VALIDATION_EXAMPLES = {"sentiment": 1024, "mnist": 500}

RATES: dict[str, dict[str, tuple[float, ...]]] = {
    "sentiment": {
        "head": (3e-3, 1e-2, 3e-2, 1e-1),
        "cdvft": (3e-3, 1e-2, 3e-2, 1e-1),
        "lora": (3e-4, 1e-3, 3e-3, 1e-2),
        "fourierft": (1e-2, 3e-2, 1e-1, 3e-1),
        "c3a": (3e-2, 1e-1, 3e-1, 1.0),
        "full": (1e-5, 3e-5, 1e-4, 3e-4),
    },
    "mnist": {
        "head": (3e-4, 1e-3, 3e-3, 1e-2),
        "cdvft": (3e-3, 1e-2, 3e-2, 1e-1),
        "lora": (3e-4, 1e-3, 3e-3, 1e-2),
        "fourierft": (1e-2, 3e-2, 1e-1, 3e-1),
        "c3a": (3e-2, 1e-1, 3e-1, 1.0),
        "full": (1e-5, 3e-5, 1e-4, 3e-4),
    },
}
STARTS = ("zero_output", "zero_circulant", "zero_input")


def searches(recipes: Iterable[str]) -> list[tuple[str, str, str | None]]:
    """(recipe, method, CDVFT's start) in the order in which they are searched."""
    plain = [
        (recipe, method, STARTS[0] if method == "cdvft" else None)
        for recipe in recipes
        for method in RATES[recipe]
    ]
    return plain + [(recipe, "cdvft", start) for start in STARTS[1:] for recipe in recipes]


def search(tries: list[dict[str, Any]], recipe: str, method: str, start: str | None) -> list[dict[str, Any]]:
    """The tries of one search."""
    key = (recipe, method, start)
    return [one for one in tries if (one["recipe"], one["method"], one["init_weights"]) == key]


def best(tries: list[dict[str, Any]], recipe: str, method: str, start: str | None) -> dict[str, Any] | None:
    """The winning try of one search, if any did not fail."""
    ended = [one for one in search(tries, recipe, method, start) if one["metric"] is not None]
    return max(ended, key=lambda one: (one["metric"], -one["loss"]), default=None)


def fifth_rate(tries: list[dict[str, Any]], recipe: str, method: str, start: str | None) -> float | None:
    """Three times beyond a winner that is the first or the last; else halfway to its better neighbour."""
    won = best(tries, recipe, method, start)
    if won is None:
        return None
    rates = RATES[recipe][method]
    place = rates.index(won["learning_rate"])
    if place in {0, len(rates) - 1}:
        return float(f"{won['learning_rate'] * (3 if place else 1 / 3):.1g}")
    scores = {one["learning_rate"]: one["metric"] or 0.0 for one in search(tries, recipe, method, start)}
    neighbour = max(rates[place - 1], rates[place + 1], key=scores.__getitem__)
    return float(f"{math.sqrt(won['learning_rate'] * neighbour):.1g}")


def one_try(recipe: str, method: str, start: str | None, rate: float, head_rate: float) -> dict[str, Any]:
    """Train once as the recipe says and judge on rows held out of the training split."""
    from cdvft_app.catalog import resolve
    from cdvft_app.catalog.rows import Rows, Split, load_rows
    from cdvft_app.events import Evaluation, TrainingFailed
    from cdvft_app.settings import RunSettings
    from cdvft_app.training import arguments, trainer

    arguments.EVALUATIONS = 1  # only the end counts here
    chosen = {"init_weights": start} if start else {}
    plan = resolve(RunSettings(recipe=recipe, method=method, learning_rate=rate, seed=SEED, **chosen))
    rates = {**plan.recipe.learning_rates, "head": head_rate}
    plan = dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, learning_rates=rates))
    trained = plan.settings.train_examples
    drawn = load_rows(
        plan.dataset,
        train_examples=trained + VALIDATION_EXAMPLES[recipe],
        evaluation_examples=1,
        seed=SEED,
    )
    inputs, labels = drawn.train.inputs, drawn.train.labels
    rows = Rows(
        Split(inputs[:trained], labels[:trained]),
        Split(inputs[trained:], labels[trained:]),
        drawn.labels,
        drawn.commit,
    )
    evaluations: list[Evaluation] = []
    folder = Path(tempfile.mkdtemp())
    result: dict[str, Any] = {
        "recipe": recipe,
        "method": method,
        "init_weights": start,
        "learning_rate": rate,
        "head_learning_rate": head_rate,
        "metric": None,
        "loss": None,
    }
    began = time.process_time()
    try:
        done = trainer.train_plan(
            plan,
            lambda event: evaluations.append(event) if isinstance(event, Evaluation) else None,
            lambda: False,
            folder,
            rows=rows,
        )
    except TrainingFailed as error:
        result["failed"] = str(error)
    else:
        result |= {"metric": done.metric, "loss": evaluations[-1].loss, "steps": done.step}
    finally:
        shutil.rmtree(folder)
    return result | {"cpu_seconds": round(time.process_time() - began, 1)}


def machine() -> dict[str, Any]:
    """What the tries ran on."""
    import torch

    return {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--recipes", nargs="+", choices=tuple(RATES), default=tuple(RATES))
    recipes = parser.parse_args().recipes
    tries = json.loads(RESULTS.read_text())["tries"] if RESULTS.is_file() else []
    for recipe, method, start in searches(recipes):
        for place in range(4 if method == "head" else 5):
            if place < len(search(tries, recipe, method, start)):
                continue
            given = RATES[recipe][method]
            rate = given[place] if place < 4 else fifth_rate(tries, recipe, method, start)
            won = best(tries, recipe, "head", None)
            head_rate = rate if method == "head" else won["learning_rate"] if won else None
            if rate is None or head_rate is None:
                sys.exit(f"No rate worked for {method} on {recipe}; choose others in RATES.")
            tries.append(one_try(recipe, method, start, rate, head_rate))
            print(tries[-1], flush=True)
            write(tries)


def write(tries: list[dict[str, Any]]) -> None:
    """All tries and the winners, replacing the file at once."""
    winners: dict[str, dict[str, float]] = {recipe: {} for recipe in RATES}
    for recipe, method, start in searches(RATES):
        won = best(tries, recipe, method, start)
        if won:
            winners[recipe][f"{method} {start}" if start else method] = won["learning_rate"]
    text = {
        "command": "python -m benchmarks.learning_rates",
        "judged_on": f"rows of the training split that were not trained on, seed {SEED}",
        "validation_examples": VALIDATION_EXAMPLES,
        "machine": machine(),
        "best": winners,
        "tries": tries,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    unfinished = RESULTS.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(text, indent=1) + "\n")
    unfinished.replace(RESULTS)


if __name__ == "__main__":
    main()
