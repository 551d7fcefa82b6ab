"""Does a search find a learning rate that is as good as the recorded one?

    python -m benchmarks.found_rates [--of mnist csv sentiment]

For each recipe `python -m cdvft_app search` looks for CDVFT's rate: 12 trials, 4 of them drawn at random from
two decades around the method's usual rate, on training rows that are held out; the recipe's recorded rate is
not among what it is given. Then the rate that was found and the recorded one train each with seeds 0 to 4,
none of which the search used, on the recipe's training rows, and are judged row by row on its evaluation
rows. Budgets are the sweep's (benchmarks/record_sweep.py).

`csv` stands for a file of one's own: 800 film reviews written as a CSV file, of which the program knows
nothing but its columns. CDVFT and LoRA are searched with 6 trials each, and the best of each are raced with
the same seeds; no rate is recorded to compare with.

It says how many hours it will take before it starts. Writes benchmarks/results/found_rates.json after the
search and after every run; run again to go on where it was cut off.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import machine, read_record, write_record
from benchmarks.record_sweep import BUDGETS, read_once, run
from benchmarks.trained import contestant
from cdvft_app.settings import RunSettings

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "found_rates.json"
RUNS = ROOT / "build" / "found_rates"  # the searches' histories, by which they go on
TRIALS, SEARCH_SEED, SEEDS = 12, 1234, (0, 1, 2, 3, 4)
CSV, CSV_TRIALS = "csv", 6
SECONDS_A_RUN = {"mnist": 20.0, "sentiment": 25.0, CSV: 25.0}
"""On one idle core, for what is said before it starts."""
Record = dict[str, Any]


def reviews() -> Path:
    """The file of one's own."""
    from cdvft_app.catalog import get_dataset
    from cdvft_app.catalog.dataset_readers import load_rows

    file = RUNS / "reviews.csv"
    if not file.is_file():
        rows = load_rows(get_dataset("rotten_tomatoes"), train_examples=800, evaluation_examples=1, seed=7)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", newline="", encoding="utf-8") as opened:
            writer = csv.writer(opened)
            writer.writerow(("review", "opinion"))
            pairs = zip(rows.train.inputs, rows.train.labels.tolist(), strict=True)
            writer.writerows((text, rows.labels[label]) for text, label in pairs)
    return file


def hours(of: list[str], kept: Record) -> float:
    """The hours of work that is left, on one idle core."""
    seconds = 0.0
    for name in of:
        trials = 0 if "search" in kept.get(name, {}) else TRIALS if name != CSV else 2 * CSV_TRIALS
        runs = 2 * len(SEEDS) - len(kept.get(name, {}).get("runs", []))
        seconds += (trials + runs) * SECONDS_A_RUN.get(name, 60.0)
    return seconds / 3600


def search(folder: Path, options: list[str]) -> Record:
    """The last line of the command, which goes on in the folder where it was cut off."""
    command = [sys.executable, "-m", "cdvft_app", "search", *options, "--seed", str(SEARCH_SEED), "--json"]
    environment = {**os.environ, "RUNS_DIR": str(folder)}
    ended = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: Record = json.loads(ended.stdout.splitlines()[-1])
    return {
        "command": " ".join(["python", *command[1:]]).replace(f"{ROOT}{os.sep}", ""),
        "race": found["race"],
        "methods": [
            {key: one[key] for key in ("label", "best", "sentences")}
            | {"trials": [_trial(trial) for trial in one["trials"]]}
            for one in found["methods"]
        ],
    }


def _trial(trial: Record) -> Record:
    return {name: trial[name] for name in ("settings", "state", "loss", "score")}


def contestants(name: str, found: Record) -> dict[str, RunSettings]:
    """The settings that train after the search, by their names in the record."""
    best = [RunSettings.model_validate(one) for one in found["race"]]
    if name == CSV:
        return {one.method.label(): one for one in best}
    (only,) = best
    recorded = only.model_copy(update={"method": only.method.model_copy(update={"learning_rate": None})})
    return {"found": only, "recorded": recorded}


def verdict(of: Record) -> Any:
    """The judge's verdict on the first contestant against the second; both have all seeds."""
    from cdvft_app.judging.judge import Pair, judge

    names = list(dict.fromkeys(one["side"] for one in of["runs"]))
    sides = [contestant(name, (one for one in of["runs"] if one["side"] == name)) for name in names]
    (found,) = judge([Pair((sides[0],), (sides[1],))], "accuracy")
    return found


def record() -> Record:
    return read_record(RESULTS)


def keep(found: Record) -> None:
    found |= {
        "command": "python -m benchmarks.found_rates",
        "day": time.strftime("%d %B %Y"),
        "machine": machine(),
    }
    write_record(RESULTS, found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--of", nargs="+", choices=(*BUDGETS, CSV), default=["mnist", CSV, "sentiment"])
    chosen = parser.parse_args()
    kept = record()
    print(f"About {hours(chosen.of, kept):.1f} hours on one idle core.", flush=True)
    for name in chosen.of:
        if name == CSV:
            options = ["--data", str(reviews()), "--methods", "cdvft,lora", "--trials", str(CSV_TRIALS)]
            _compare(CSV, [*options, "--epochs", "2"], kept)
            continue
        budget = BUDGETS[name]
        options = ["--recipe", name, "--trials", str(TRIALS), "--epochs", str(budget["epochs"])]
        options += ["--train-examples", str(budget["train_examples"])]
        _compare(name, [*options, "--evaluation-examples", str(budget["evaluation_examples"])], kept)


def _compare(name: str, options: list[str], kept: Record) -> None:
    own = kept.setdefault(name, {})
    if "search" not in own:
        own["search"] = search(RUNS / name, options)
        keep(kept)
    own.setdefault("runs", [])
    ended = {(one["side"], one["seed"]) for one in own["runs"]}
    os.environ["RUNS_DIR"] = str(RUNS / name)  # where rows of one's own lie
    with read_once():
        for seed in SEEDS:
            for side, settings in contestants(name, own["search"]).items():
                if (side, seed) in ended:
                    continue
                began = time.monotonic()
                result = run(settings.model_copy(update={"seed": seed}))
                own["runs"].append(
                    {"side": side, "seed": seed}
                    | {key: result.get(key) for key in ("metric", "rows", "wrong", "failed") if key in result}
                )
                keep(kept)
                print(
                    f"{name} {side} seed {seed}: {result['metric']} {time.monotonic() - began:.0f} s",
                    flush=True,
                )
    from cdvft_app.judging.verdict_text import result as sentence

    found = verdict(own)
    own["verdict"] = {"word": found.word, "size": found.size, "low": found.low, "high": found.high}
    own["sentence"] = sentence(found).replace("\u00a0", " ")
    keep(kept)
    print(own["sentence"], flush=True)


if __name__ == "__main__":
    main()
