"""How far apart a recipe's losses and answers end where another engine rounds in another order.

    OMP_NUM_THREADS=1 python -m benchmarks.rounding [--recipes sentiment digits addresses] [--steps 20]

Trains CDVFT as the app does, seed 0, once by plain torch operations (CDVFT_ENGINE=reference) and once by what
the library chooses (auto), each in a process of its own. Writes benchmarks/results/rounding.json: differences
of the losses, as parts of the reference's, at the first step, at most within the first ten, and at most; the
metric of both; how many evaluation rows one of them alone got wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.machine import machine, read_record, rounded, write_record
from benchmarks.trained import train_one

RESULTS = Path(__file__).parent / "results" / "rounding.json"
ENGINES = ("reference", "auto")


def run(recipe: str, steps: int | None) -> dict[str, Any]:
    """One run in this process."""
    from cdvft_app.events import Done, Step
    from cdvft_app.settings import RunSettings

    settings = RunSettings(recipe=recipe, method="cdvft", seed=0, keep="last", max_steps=steps)  # type: ignore[arg-type]
    one = train_one(settings)
    losses = [event.loss for event in one.events if isinstance(event, Step)]
    return {"losses": losses, "metric": one.last(Done).metric, **one.rows()}


def run_by(engine: str, recipe: str, steps: int | None) -> dict[str, Any]:
    """The same in a process that has this engine alone."""
    command = [sys.executable, "-m", "benchmarks.rounding", "--alone", recipe]
    if steps is not None:
        command += ["--steps", str(steps)]
    environment = {**os.environ, "CDVFT_ENGINE": engine}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def difference(runs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    reference, other = (runs[engine] for engine in ENGINES)
    pairs = zip(reference["losses"], other["losses"], strict=True)
    apart = [abs(a - b) / abs(a) for a, b in pairs]
    return {
        "steps": len(apart),
        "losses_apart": {"first": apart[0], "first_ten": max(apart[:10]), "most": max(apart)},
        "last_losses": {engine: runs[engine]["losses"][-1] for engine in ENGINES},
        "metric": {engine: runs[engine]["metric"] for engine in ENGINES},
        "rows": reference["rows"],
        "wrong_in_one_alone": len(set(reference["wrong"]) ^ set(other["wrong"])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipes", nargs="+", default=["sentiment", "digits", "addresses"])
    parser.add_argument("--steps", type=int, help="stop after so many (default: the recipe's own)")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        print(json.dumps(run(arguments.alone, arguments.steps)))
        return
    record = {"recipes": {}} | read_record(RESULTS)
    record |= {"command": "OMP_NUM_THREADS=1 python -m benchmarks.rounding", "machine": machine()}
    for recipe in arguments.recipes:
        runs = {engine: run_by(engine, recipe, arguments.steps) for engine in ENGINES}
        record["recipes"][recipe] = rounded(difference(runs))
        print(recipe, json.dumps(record["recipes"][recipe]), flush=True)
        write_record(RESULTS, record)


if __name__ == "__main__":
    main()
