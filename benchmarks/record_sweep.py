"""Vary every method's settings on offline recipes, and write down what came out.

    python -m benchmarks.record_sweep [--recipes sentiment mnist addresses] [--seeds 0 1 ...]
        [--cluster ray://host:10001]

The grid: CDVFT m 2, 3, 4 by p 384, 128, 48; LoRA r 2, 8, 32; FourierFT n 250, 1000, 4000; C3A b 384, 128,
48; the head alone and full fine-tuning; each at 0.3, 1 and 3 times the recipe's learning rate for the method;
seeds 0, 1, 2. Of `addresses`, whose layers are 576 x 576 and 192 x 576: CDVFT m 2, 3 by p 192, 64, 16, LoRA
and FourierFT as they are, at the same multiples; seed 0.
All of seed 0 comes first, then all of seed 1, and so on, so that what was cut off is a whole smaller sweep.
The budget is small (see BUDGETS). No seconds are kept: of a shared machine they mean nothing.
A run recorded before its wrong rows were is done again.

Writes benchmarks/results/sweep_RECIPE.json after every run; run again to go on where it was cut off. Two
processes may record one recipe each. `--publish` makes assets/recorded_sweep.json for the page of those that
are recorded.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.machine import machine, write_compact, write_whole
from benchmarks.trained import Trained, add_option, train_each
from cdvft_app.settings import NO_EARLY_STOPPING, RaceRequest, RunSettings
from cdvft_app.sweep import SweepRequest

Run = dict[str, Any]
ROOT = Path(__file__).resolve().parents[1]
BUDGETS: dict[str, dict[str, Any]] = {
    "sentiment": {"train_examples": 512, "evaluation_examples": 533, "epochs": 2.0},
    "mnist": {"train_examples": 300, "evaluation_examples": 500, "epochs": 2.0},
    "addresses": {"train_examples": 200, "evaluation_examples": 96, "epochs": 1.0},
}
_ALL = ("cdvft", "lora", "fourierft", "c3a", "head", "full")
METHODS = {"sentiment": _ALL, "mnist": _ALL, "addresses": ("cdvft", "lora", "fourierft")}
_SIZES = {
    "m": (2, 3, 4),
    "block_size": (384, 128, 48),
    "lora_r": (2, 8, 32),
    "fourierft_n": (250, 1000, 4000),
    "c3a_block_size": (384, 128, 48),
}
SIZES = {"sentiment": _SIZES, "mnist": _SIZES, "addresses": {"m": (2, 3), "block_size": (192, 64, 16)}}
"""What is varied beside the rate. Blocks of CDVFT and C3A: whole numbers of them fill every layer."""
SEEDS = {"sentiment": (0, 1, 2), "mnist": (0, 1, 2), "addresses": (0,)}


def grid(recipe: str, seeds: tuple[int, ...] = ()) -> SweepRequest:
    """All runs of a recipe, with its own seeds or those named."""
    return SweepRequest(
        base=RaceRequest(recipe=recipe, methods=METHODS[recipe], keep="last", **BUDGETS[recipe]),
        **SIZES[recipe],
        learning_rates=(0.3, 1, 3),
        seeds=seeds or SEEDS[recipe],
    )


def train(
    wanted: Sequence[RunSettings], ended: Callable[[RunSettings, Run], None], cluster: str = ""
) -> None:
    """Train all, and evaluate each once, at its end.

    `ended` hears of each. `wrong` holds the evaluation rows that it got wrong, of `rows`, so that settings
    can be compared by rows; `loss` is that of all of them. One that fails keeps its reason and has no metric.
    """
    from cdvft_app.events import Done, Evaluation, Started

    asked = {one.model_copy(update={"evaluations": 1}): one for one in wanted}

    def keep(one: Trained) -> None:
        settings = asked[one.settings]
        result: Run = {"settings": settings.model_dump(mode="json", exclude_defaults=True)}
        if one.failed:
            ended(settings, result | {"metric": None, "failed": one.failed})
            return
        result |= one.rows() | {"metric": one.last(Done).metric, "loss": one.last(Evaluation).loss}
        result["trainable_parameters"] = one.last(Started).trainable_parameters
        ended(settings, result | ({"node": one.node} if one.node else {}))

    train_each([*asked], keep, cluster)


def run(settings: RunSettings) -> Run:
    """The record of one run, trained in this process."""
    found: list[Run] = []
    train([settings], lambda _, result: found.append(result))
    return found[0]


@contextmanager
def read_once() -> Iterator[None]:
    """Keep a dataset's rows from one run to the next."""
    from cdvft_app.catalog import dataset_readers

    kept: dict[str, dataset_readers.DatasetSplits] = {}
    read = dataset_readers.read_dataset

    def reading(entry: Any, *args: Any) -> dataset_readers.DatasetSplits:
        if entry.key not in kept:
            kept[entry.key] = read(entry, *args)
        return kept[entry.key]

    with mock.patch.object(dataset_readers, "read_dataset", reading):
        yield


def results(recipe: str) -> Path:
    return ROOT / "benchmarks" / "results" / f"sweep_{recipe}.json"


def recorded(recipe: str) -> list[Run]:
    """The runs so far whose settings are still in the grid, of whatever seed."""
    if not results(recipe).is_file():
        return []
    runs = json.loads(results(recipe).read_text())["runs"]
    seeds = tuple(sorted({one["settings"].get("seed", 0) for one in runs}))
    wanted = set(grid(recipe, seeds).runs())
    return [one for one in runs if _settings(recipe, one) in wanted]


def _settings(recipe: str, one: Run) -> RunSettings:
    """The settings of a recorded run; one of before there was a choice kept its last step."""
    before = {"keep": "last", **NO_EARLY_STOPPING}
    return RunSettings.model_validate(before | one["settings"] | {"recipe": recipe})


def _whole(one: Run) -> bool:
    """Whether the record has the run's wrong rows, or why it failed."""
    return "wrong" in one or "failed" in one


def keep(recipe: str, runs: list[Run]) -> None:
    """Replace the recipe's file at once."""
    text = {
        "command": "python -m benchmarks.record_sweep",
        "day": time.strftime("%d %B %Y"),
        "machine": machine(),
        "recipe": recipe,
        "budget": BUDGETS[recipe],
        "runs": runs,
    }
    lines = json.dumps(text, separators=(",", ":")).replace('{"settings"', '\n{"settings"')
    write_whole(results(recipe), lines + "\n")


def publish() -> None:
    """Write the page's file: the whole seeds of each recipe, or all runs while no seed is whole."""
    from cdvft_app.catalog import get_dataset, get_recipe
    from cdvft_app.sweep.recorded import FILE
    from cdvft_app.sweep.results import budget

    sweeps = {}
    for recipe, limits in BUDGETS.items():
        if not results(recipe).is_file():
            continue
        kept = json.loads(results(recipe).read_text())
        wanted = grid(recipe)
        a_seed = wanted.count() // len(wanted.seeds)
        by_seed: dict[int, list[Run]] = {}
        for one in recorded(recipe):
            by_seed.setdefault(one["settings"].get("seed", 0), []).append(one)
        whole = [runs for runs in by_seed.values() if len(runs) == a_seed] or list(by_seed.values())
        base = {"recipe": recipe, **limits}
        sweeps[recipe] = {
            "title": get_recipe(recipe).title,
            "origin": budget(RunSettings.model_validate(base | {"method": METHODS[recipe][0]})),
            "recorded": f"on {kept['day']}, {kept['machine']['cpu']}",
            "metric_name": get_dataset(get_recipe(recipe).dataset).metric,
            "base": base,
            "runs": [
                {
                    "settings": {name: value for name, value in one["settings"].items() if name not in base},
                    "metric": one["metric"] and round(one["metric"], 4),
                    "trainable_parameters": one.get("trainable_parameters"),
                    **{name: one[name] for name in ("rows", "wrong") if name in one},
                }
                for runs in whole
                for one in runs
            ],
        }
    write_compact(FILE, {"sweeps": sweeps})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--recipes", nargs="+", choices=tuple(BUDGETS), default=("sentiment", "mnist"))
    parser.add_argument("--seeds", nargs="+", type=int, default=())
    parser.add_argument("--publish", action="store_true", help="record nothing, write what the page shows")
    add_option(parser)
    chosen = parser.parse_args()
    if chosen.publish:
        publish()
        return
    with read_once():
        for recipe in chosen.recipes:
            _record(recipe, tuple(chosen.seeds), chosen.cluster)


def _record(recipe: str, seeds: tuple[int, ...], cluster: str) -> None:
    """Run what is missing, and keep each run as it ends."""
    runs = recorded(recipe)
    places = {_settings(recipe, one): at for at, one in enumerate(runs)}
    wanted = grid(recipe, seeds).runs()
    began = time.monotonic()

    def place(settings: RunSettings, result: Run) -> None:
        at = places.setdefault(settings, len(runs))
        runs[at : at + 1] = [result]
        keep(recipe, runs)
        print(f"{at + 1} after {time.monotonic() - began:.1f} s {json.dumps(result)}", flush=True)

    train([one for one in wanted if one not in places or not _whole(runs[places[one]])], place, cluster)


if __name__ == "__main__":
    main()
