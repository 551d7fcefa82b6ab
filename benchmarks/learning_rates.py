"""Find every method's learning rate by the same search, and write all tries down.

    python -m benchmarks.learning_rates [--recipes sentiment mnist addresses sql] [--methods cdvft lora ...]

The head's rate comes first, from four tries with the head alone; every method then trains the head at the
winner's rate. Each method has seven tries of its own rate: four, about three times apart, around its usual
range; a fifth where these four point to (`fifth_rate`); and the best two of the five once more with another
seed. The best mean accuracy over both seeds wins, a tie goes to the lower loss. A try trains as the recipe
says and is judged on rows of the training split that it did not train on: the rows on which the app evaluates
are never looked at, and the seeds are none of those that are reported. CDVFT's other starts, and FourierFT's
from normal coefficients (PEFT's default, where the app starts it at zero), are searched in the same way.

Of `addresses` every method has five tries, of `sql` four, with the first seed alone, judged by the loss of
the right answers to the data's 48 validation rows: their exact match, which is written down too, moves by 7
points by chance. There is no head.

Writes benchmarks/results/learning_rates.json after every try; run again to go on where it was cut off.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.machine import Machine, machines, read_record, write_record
from benchmarks.trained import train_here

RESULTS = Path(__file__).parent / "results" / "learning_rates.json"
SEEDS = (1234, 1235)
VALIDATION_EXAMPLES = {"sentiment": 1024, "mnist": 500, "addresses": 48, "sql": 48}
OWN_VALIDATION_SPLIT = {"addresses": "validation", "sql": "validation"}
"""Where the data has rows for this; else rows of the training split are held out."""
JUDGED_BY_LOSS = ("addresses", "sql")

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
    "addresses": {
        "cdvft": (3e-3, 1e-2, 3e-2, 1e-1),
        "lora": (1e-3, 3e-3, 1e-2, 3e-2),
        "fourierft": (1e-2, 3e-2, 1e-1, 3e-1),
    },
    "sql": {
        "cdvft": (1e-2, 3e-2, 1e-1),
        "lora": (3e-3, 1e-2, 3e-2),
        "fourierft": (3e-2, 1e-1, 3e-1),
    },
}
Try = dict[str, Any]
STARTS = {
    "cdvft": ("zero_output", "zero_circulant", "zero_input"),
    "fourierft": ("zero", "normal"),
}
"""What `init_weights` says in the tries; the app's own start first."""


def searches(recipes: Iterable[str]) -> list[tuple[str, str, str | None]]:
    """The (recipe, method, start) in the order in which they are searched; the app's own starts first."""
    own = [(recipe, method, STARTS.get(method, (None,))[0]) for recipe in recipes for method in RATES[recipe]]
    other = [(method, start) for method, starts in STARTS.items() for start in starts[1:]]
    searched = [recipe for recipe in recipes if recipe not in JUDGED_BY_LOSS]
    return own + [(recipe, *search) for search in other for recipe in searched]


def search(tries: list[Try], recipe: str, method: str, start: str | None) -> list[Try]:
    """The tries of one search."""
    key = (recipe, method, start)
    return [one for one in tries if (one["recipe"], one["method"], one["init_weights"]) == key]


def score(tries: list[Try]) -> tuple[float, float]:
    """The worth of tries of one rate, more is better: mean accuracy, and minus the mean loss.

    Of `JUDGED_BY_LOSS` it is the other way round.
    """
    if not tries or any(one["metric"] is None for one in tries):
        return (-math.inf, -math.inf)
    metric, loss = (statistics.mean(one[name] for one in tries) for name in ("metric", "loss"))
    return (-loss, metric) if tries[0]["recipe"] in JUDGED_BY_LOSS else (metric, -loss)


def ranking(tries: list[Try], seeds: int) -> list[float]:
    """The rates of a search that have been tried with so many seeds, best first."""
    by_rate = {
        one["learning_rate"]: [other for other in tries if other["learning_rate"] == one["learning_rate"]]
        for one in tries
    }
    rates = [rate for rate, group in by_rate.items() if len(group) >= seeds]
    return sorted(rates, key=lambda rate: score(by_rate[rate][:seeds]), reverse=True)


def winner(tries: list[Try]) -> float | None:
    """The best rate of a search so far."""
    ranked = ranking(tries, seeds=2) or ranking(tries, seeds=1)
    return ranked[0] if ranked else None


def next_try(tries: list[Try], rates: tuple[float, ...], method: str) -> tuple[float, int] | None:
    """The rate and seed that a search tries next, or None at its end."""
    first = [one for one in tries if one["seed"] == SEEDS[0]]
    if len(first) < len(rates):
        return rates[len(first)], SEEDS[0]
    if method == "head":
        return None
    if len(first) == len(rates):
        return fifth_rate(first, rates), SEEDS[0]
    if tries[0]["recipe"] in JUDGED_BY_LOSS:
        return None
    again = len(tries) - len(first)
    return (ranking(first, seeds=1)[again], SEEDS[1]) if again < 2 else None


def fifth_rate(tries: list[Try], rates: tuple[float, ...]) -> float:
    """Three times beyond a winner that is the first or the last; else halfway to its better neighbour."""
    ranked = ranking(tries, seeds=1)
    index = rates.index(ranked[0])
    if index in {0, len(rates) - 1}:
        return float(f"{ranked[0] * (3 if index else 1 / 3):.1g}")
    neighbour = min(rates[index - 1], rates[index + 1], key=ranked.index)
    return float(f"{math.sqrt(ranked[0] * neighbour):.1g}")


def rows_to_judge_on(plan: Any, validation: int, split: str | None) -> Any:
    """The plan's training rows, and others than those on which the app evaluates."""
    from cdvft_app.catalog.dataset_readers import Rows, Split, load_rows

    trained, seed = plan.settings.train_examples, plan.settings.seed
    if split:
        entry = dataclasses.replace(plan.dataset, evaluation_split=split)
        return load_rows(entry, train_examples=trained, evaluation_examples=validation, seed=seed)
    drawn = load_rows(plan.dataset, train_examples=trained + validation, evaluation_examples=1, seed=seed)
    inputs, labels = drawn.train.inputs, drawn.train.labels
    return Rows(
        Split(inputs[:trained], labels[:trained]),
        Split(inputs[trained:], labels[trained:]),
        drawn.labels,
        drawn.commit,
    )


def one_try(
    *, recipe: str, method: str, start: str | None, rate: float, head_rate: float | None, seed: int
) -> Try:
    """Train once as the recipe says and judge on rows that are neither trained nor evaluated on."""
    from cdvft_app.catalog import resolve
    from cdvft_app.events import Done, Evaluation
    from cdvft_app.settings import RunSettings
    from cdvft_app.training import trainable

    chosen = {"init_weights": start} if method == "cdvft" else {}
    settings = RunSettings(
        recipe=recipe, method=method, learning_rate=rate, seed=seed, evaluations=1, **chosen
    )
    plan = resolve(settings)
    if head_rate is not None:
        rates = {**plan.recipe.learning_rates, "head": head_rate}
        plan = dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, learning_rates=rates))
    rows = rows_to_judge_on(plan, VALIDATION_EXAMPLES[recipe], OWN_VALIDATION_SPLIT.get(recipe))
    result: Try = {
        "recipe": recipe,
        "method": method,
        "init_weights": start,
        "learning_rate": rate,
        "head_learning_rate": head_rate,
        "seed": seed,
        "metric": None,
        "loss": None,
    }
    apps_config = trainable.peft_config

    def config(*args: Any, **more: Any) -> Any:
        built = apps_config(*args, **more)
        if start == "normal":
            built.init_weights = False
        return built

    began = time.process_time()
    with mock.patch.object(trainable, "peft_config", config):
        one = train_here(settings, plan, rows)
    if one.failed:
        result["failed"] = one.failed
    else:
        done = one.last(Done)
        result |= {"metric": done.metric, "loss": one.last(Evaluation).loss, "steps": done.step}
    return result | {"cpu_seconds": round(time.process_time() - began, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--recipes", nargs="+", choices=tuple(RATES), default=tuple(RATES))
    parser.add_argument("--methods", nargs="+", default=tuple(RATES["sentiment"]))
    chosen = parser.parse_args()
    record = read_record(RESULTS)
    tries, ran_on = record.get("tries", []), machines(record.get("machines", []))
    for recipe, method, start in searches(chosen.recipes):
        if method not in chosen.methods:
            continue
        has_head = "head" in RATES[recipe]
        rates = RATES[recipe][method]
        while upcoming := next_try(search(tries, recipe, method, start), rates, method):
            rate, seed = upcoming
            head_rate = rate if method == "head" else winner(search(tries, recipe, "head", None))
            assert head_rate is not None or not has_head  # the head is searched first
            tries.append(
                one_try(recipe=recipe, method=method, start=start, rate=rate, head_rate=head_rate, seed=seed)
            )
            print(tries[-1], flush=True)
            write(tries, ran_on)


def write(tries: list[Try], ran_on: list[Machine]) -> None:
    """All tries and the winners, replacing the file at once."""
    winners: dict[str, dict[str, float]] = {recipe: {} for recipe in RATES}
    for recipe, method, start in searches(RATES):
        won = winner(search(tries, recipe, method, start))
        if won:
            winners[recipe][f"{method} {start}" if start else method] = won
    text = {
        "command": "python -m benchmarks.learning_rates",
        "judged_on": f"rows of the training split that were not trained on, seeds {SEEDS}; "
        f"{' and '.join(JUDGED_BY_LOSS)} by their validation rows' loss, seed {SEEDS[0]}",
        "validation_examples": VALIDATION_EXAMPLES,
        "machines": ran_on,
        "best": winners,
        "tries": tries,
    }
    write_record(RESULTS, text)


if __name__ == "__main__":
    main()
