"""Is there a better way to train? Chosen on validation rows, confirmed by seeds that chose nothing.

    python -m benchmarks.training_choices [--recipes mnist sentiment addresses sql]
        [--families input_rates adam warm_up three_factors lora_plus lora_adam other_layers]

A family is choices of one kind: CDVFT's input diagonals, which begin at ones, at 2, 4, 8 ... times the rate
of the other factors (`cdvft.create_optimizer`); Adam's betas and epsilon; the warm-up; m = 3; adapters at
other layers; and of LoRA a higher rate for its second matrix (LoRA+), and the beta1 that was CDVFT's best.
Each choice, and what is usual, is trained at two multiples of the recipe's rate, no others: docs/method.md
says of a lead whether it is one over the best rate, too. Of each the rate with the lowest loss on validation
rows is taken, the mean of two seeds. Ratios go on past the first three while the highest is the best. Where a
choice has a lower loss than what is usual, the best and what is usual, each at its own rate, train with seeds
0 to 4, and are judged row by row on the evaluation rows, all families of a recipe together. Every run is the
recipe's own but for that.

It says how many hours it will take at the most before it starts. Writes
benchmarks/results/training_choices.json after every run; run again to go on where it was cut off.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.evidence import races
from benchmarks.machine import machine, read_record, write_record
from benchmarks.record_sweep import read_once, run
from benchmarks.trained import contestant
from cdvft_app.catalog import get_dataset, get_recipe
from cdvft_app.judging.judge import Pair, Verdict, judge
from cdvft_app.judging.verdict_text import result
from cdvft_app.methods import METHODS
from cdvft_app.settings import RunSettings

RESULTS = Path(__file__).parent / "results" / "training_choices.json"
RECIPES = ("mnist", "sentiment", "addresses", "sql")
MULTIPLES = {"mnist": (0.3, 1.0), "sentiment": (0.3, 1.0), "addresses": (0.5, 1.5), "sql": (0.3, 1.0)}
"""Of the recipe's rate; on `addresses` its search at equal numbers found 1.5 times that."""
CHOOSING_SEEDS, SEEDS = (1234, 1235), (0, 1, 2, 3, 4)
FIRST = 3
"""Choices of a scale that are tried before it is known whether its end is the best."""
Record = dict[str, Any]
Setting = tuple[str, float]
"""A choice by its name, and the multiple of the recipe's rate."""


@dataclass(frozen=True)
class Choice:
    """What is other than usual: settings and `TrainingArguments`."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """Choices of one kind for one method; those of a scale are in its order."""

    method: str
    choices: tuple[Choice, ...]
    is_scale: bool = False


USUAL = Choice("usual")
FAMILIES = {
    "input_rates": Family(
        "cdvft",
        tuple(Choice(f"input rate x {2**n}", {"input_diagonal_lr_ratio": 2.0**n}) for n in range(1, 9)),
        is_scale=True,
    ),
    "adam": Family(
        "cdvft",
        (
            Choice("beta1 0.8", {"adam_beta1": 0.8}),
            Choice("beta2 0.98", arguments={"adam_beta2": 0.98}),
            Choice("beta2 0.95", arguments={"adam_beta2": 0.95}),
            Choice("epsilon 1e-6", arguments={"adam_epsilon": 1e-6}),
        ),
    ),
    "warm_up": Family(
        "cdvft",
        (Choice("no warm-up", {"warmup_ratio": 0.0}), Choice("warm-up 0.2", {"warmup_ratio": 0.2})),
    ),
    "three_factors": Family(
        "cdvft",
        (
            Choice("m = 3", {"m": 3}),
            Choice("m = 3, input rate x 4", {"m": 3, "input_diagonal_lr_ratio": 4.0}),
        ),
    ),
    "lora_plus": Family(
        "lora",
        tuple(Choice(f"LoRA+ x {2**n}", {"lora_loraplus_lr_ratio": 2.0**n}) for n in range(1, 6)),
        is_scale=True,
    ),
    "lora_adam": Family("lora", (Choice("beta1 0.8", {"adam_beta1": 0.8}),)),
}
OTHER_LAYERS = {
    "vit_small": {
        "the MLP's layers": ("mlp.fc1", "mlp.fc2"),
        "every layer": ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"),
    },
    "minilm": {
        "attention's layers": ("query", "key", "value", "attention.output.dense"),
        "the MLP's first layer": ("intermediate.dense",),
        "every layer": ("query", "key", "value", "output.dense", "intermediate.dense"),
    },
    "smollm2": {
        "attention's layers": ("q_proj", "k_proj", "v_proj", "o_proj"),
        "the MLP's layers": ("gate_proj", "up_proj", "down_proj"),
        "every layer": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    },
}
"""What may have an adapter in place of a recipe's layers, by its model."""


def families(recipe: str) -> dict[str, Family]:
    """All that is asked on a recipe."""
    layers = OTHER_LAYERS[get_recipe(recipe).model]
    choices = tuple(Choice(f"adapters at {name}", {"target_modules": of}) for name, of in layers.items())
    return FAMILIES | {"other_layers": Family("cdvft", choices)}


Try = tuple[Choice, float, int, bool]
"""A run: choice, multiple of the recipe's rate, seed, whether it chooses."""


def settings(recipe: str, method: str, wanted: Try) -> RunSettings:
    """One run, on validation rows where it chooses."""
    choice, multiple, seed, chooses = wanted
    rate = float(f"{get_recipe(recipe).learning_rates[method] * multiple:.3g}")
    run_on = {"seed": seed, "evaluate_on": "validation" if chooses else "evaluation", "keep": "last"}
    chosen = {"recipe": recipe, "method": method, "learning_rate": rate, **run_on, **choice.settings}
    return RunSettings.model_validate(chosen)


@contextmanager
def trained_by(choice: Choice) -> Iterator[None]:
    """Train with the choice's `TrainingArguments` in this process."""
    from cdvft_app.training import trainer

    made = trainer.training_arguments

    def arguments(*given: Any) -> Any:
        found = made(*given)
        for name, value in choice.arguments.items():
            setattr(found, name, value)
        return found

    with mock.patch.object(trainer, "training_arguments", arguments):
        yield


def losses(kept: Iterable[Record], method: str) -> dict[Setting, float]:
    """The mean loss on validation rows of each setting that was tried; infinite where a run failed."""
    found: dict[Setting, list[float]] = {}
    for one in kept:
        if one["chooses"] and one["method"] == method:
            loss = float("inf") if one["loss"] is None else one["loss"]
            found.setdefault((one["choice"], one["multiple"]), []).append(loss)
    return {setting: statistics.fmean(of) for setting, of in found.items()}


def best(kept: Iterable[Record], method: str, names: Iterable[str]) -> Setting:
    """The setting of these choices with the lowest loss."""
    known, wanted = losses(kept, method), set(names)
    return min((one for one in known if one[0] in wanted), key=known.__getitem__)


def plan(recipe: str, family: Family, kept: list[Record]) -> list[Try]:
    """The runs that are left, as far as is known."""
    ended = {
        (one["choice"], one["multiple"], one["seed"], one["chooses"])
        for one in kept
        if one["method"] == family.method
    }

    def left(wanted: Iterable[Try]) -> list[Try]:
        return [one for one in wanted if (one[0].name, *one[1:]) not in ended]

    many = FIRST if family.is_scale else len(family.choices)
    while True:
        tried = (USUAL, *family.choices[:many])
        found = left(
            (choice, multiple, seed, True)
            for seed in CHOOSING_SEEDS
            for choice in tried
            for multiple in MULTIPLES[recipe]
        )
        at_the_end = not found and best(kept, family.method, [one.name for one in tried])[0] == tried[-1].name
        if found or not at_the_end or many == len(family.choices):
            break
        many += 1
    if found:
        return found
    by_name = {one.name: one for one in tried}
    return left(
        (by_name[name], multiple, seed, False) for seed in SEEDS for name, multiple in finalists(family, kept)
    )


def finalists(family: Family, kept: list[Record]) -> tuple[Setting, Setting] | tuple[()]:
    """The best choice and what is usual, each at its own best rate; none where what is usual is best."""
    known = losses(kept, family.method)
    usual = best(kept, family.method, [USUAL.name])
    other = best(kept, family.method, [one.name for one in family.choices])
    return (other, usual) if known[other] < known[usual] else ()


def hours(recipes: Iterable[str], names: Iterable[str], record: Record) -> float:
    """The hours for all runs that may be left, each as long as CDVFT's took in the recorded races."""
    summary = races.record()["summary"]
    seconds = 0.0
    for recipe in recipes:
        for name in names:
            family, kept = families(recipe)[name], record["runs"].get(recipe, [])
            left = plan(recipe, family, kept)
            runs = len(left) + (2 * len(SEEDS) if any(one[3] for one in left) else 0)
            seconds += runs * summary[recipe]["cdvft"]["median_wall_seconds"]
    return seconds / 3600


def judged(recipe: str, kept: list[Record]) -> dict[str, tuple[Family, Verdict | None]]:
    """Of each family whose runs are all there the best choice beside what is usual; None: that is the best.

    The pairs of a recipe are corrected together, with those that are still to come.
    """
    ended = {name: one for name, one in families(recipe).items() if not plan(recipe, one, kept)}
    pairs: dict[str, Pair] = {}
    for name, family in ended.items():
        sides = []
        for choice, multiple in finalists(family, kept):
            own = (
                one
                for one in kept
                if (one["method"], one["choice"], one["multiple"]) == (family.method, choice, multiple)
            )
            title = METHODS[family.method].title
            label = f"{title} as usual" if choice == USUAL.name else f"{title} with {choice}"
            sides.append(contestant(label, (one for one in own if not one["chooses"])))
        if sides:
            pairs[name] = Pair((sides[0],), (sides[1],))
    metric_name = get_dataset(get_recipe(recipe).dataset).metric
    to_come = len(families(recipe)) - len(ended)
    found = dict(zip(pairs, judge([*pairs.values()], metric_name, len(pairs) + to_come), strict=True))
    return {name: (family, found.get(name)) for name, family in ended.items()}


def verdicts(recipe: str, kept: list[Record]) -> dict[str, str]:
    """A sentence on each family whose runs are all there."""
    said = {}
    for name, (family, found) in judged(recipe, kept).items():
        title = METHODS[family.method].title
        usual = f"{title} as usual has the lowest loss on validation rows: no other choice was judged."
        said[name] = usual if found is None else result(found).replace("\u00a0", " ")
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=RECIPES)
    names = [*families(RECIPES[0])]
    parser.add_argument("--families", nargs="+", choices=names, default=names)
    chosen = parser.parse_args()
    record: Record = {"runs": {}, "verdicts": {}} | read_record(RESULTS)
    print(f"At most {hours(chosen.recipes, chosen.families, record):.1f} hours.", flush=True)
    with read_once():
        for recipe in chosen.recipes:
            kept = record["runs"].setdefault(recipe, [])
            for name in chosen.families:
                family = families(recipe)[name]
                while left := plan(recipe, family, kept):
                    choice, multiple, seed, chooses = left[0]
                    with trained_by(choice):
                        trained = run(settings(recipe, family.method, left[0]))
                    told = {"method": family.method, "choice": choice.name, "multiple": multiple}
                    told |= {"seed": seed, "chooses": chooses}
                    kept.append(told | {key: trained.get(key) for key in ("loss", "metric", "rows", "wrong")})
                    _keep(record)
                    print(f"{recipe} {told}: {trained.get('loss')} {trained['metric']}", flush=True)
                record["verdicts"][recipe] = verdicts(recipe, kept)
                _keep(record)
                print(record["verdicts"][recipe][name], flush=True)


def _keep(record: Record) -> None:
    command, day = "python -m benchmarks.training_choices", time.strftime("%d %B %Y")
    whole = {"command": command, "day": day, "machine": machine()}
    whole |= {part: record[part] for part in ("runs", "verdicts")}  # the day and machine are of the last run
    write_record(RESULTS, whole)


if __name__ == "__main__":
    main()
