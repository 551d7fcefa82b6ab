"""Speed and memory of CDVFT beside a frozen layer, LoRA, FourierFT and C3A: ratios measured in one process.

    python -m benchmarks.speed [--quick] [--threads 1 2]

Five parts: a layer forward and backward; whole training steps; bytes that backward keeps and the peak of a
pass; what CDVFT's own part of a pass consists of; growth with tokens and width. Methods take turns within a
round, and what is reported are medians of the rounds' ratios with their quartiles. The full run takes about
a quarter of an hour and writes speed_<processor>.json, .md and .svg to benchmarks/results; `--quick` takes
about a minute and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks import layers, steps
from benchmarks.chart import chart
from benchmarks.machine import caches, machine
from benchmarks.parts import CASES, parts
from benchmarks.rounds import Rounds, interleave
from benchmarks.tables import markdown, verdicts

RESULTS = Path(__file__).parent / "results"
METHODS = ("lora", "fourierft", "c3a", "cdvft")
SLACK = 1.03
"""How much slower than the best way the cost model's choice may be before it is called wrong."""


def main() -> None:
    arguments = _arguments()
    warnings.simplefilter("ignore")
    start = time.monotonic()
    here = {**machine(), "cache": caches(), "load_average_at_start": os.getloadavg()[0]}
    record: dict[str, Any] = {"machine": here, "threads": arguments.threads, "layers": [], "steps": []}
    quick = arguments.quick
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for case in layers.QUICK if quick else layers.FULL:
            rounds = interleave(layers.candidates(case), seconds=2 if quick else 5)
            record["layers"].append(
                {**case.record(), "title": case.title, "threads": threads, **_times(rounds)}
            )
            _print_ratios(record["layers"][-1], f"{case.title}, {case.tokens} tokens", "base")
        for model in steps.MODELS[:1] if quick else steps.MODELS:
            rounds = interleave(steps.candidates(model), seconds=6 if quick else 80)
            record["steps"].append({"title": model.title, "threads": threads, **_times(rounds)})
            _print_ratios(record["steps"][-1], model.title, "frozen")
    torch.set_num_threads(1)
    record["memory"] = [_memory(layers.square(d, 512)) for d in ((768,) if quick else (384, 768, 1024))]
    record["parts"] = [parts(case) for case in (CASES[:1] if quick else CASES)]
    record["growth"] = [] if quick else _growth(record["layers"])
    record["slower_choices"] = _slower_choices(record["layers"])
    record["targets"] = verdicts(record)
    record["minutes"] = round((time.monotonic() - start) / 60, 1)
    tables = markdown(record)
    print("\n" + tables)
    if not quick:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"speed_{_slug(here['cpu'])}"
        path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
        path.with_suffix(".md").write_text(tables)
        path.with_suffix(".svg").write_text(chart(record["layers"]))
        print(f"Written: {path}.json, .md and .svg.")


def _slug(processor: str) -> str:
    """'Intel(R) Xeon(R) Processor' -> 'intel_xeon': every kind of machine keeps a record of its own."""
    name = re.sub(r"\(\w+\)|\bprocessor\b|\bcpu\b.*", " ", processor.lower())
    return "_".join(re.findall(r"[a-z0-9]+", name)) or "unknown"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few cases in about a minute; writes nothing")
    parser.add_argument(
        "--threads", type=int, nargs="+", help="numbers of threads (default: 1 and 2; quick: 1)"
    )
    arguments = parser.parse_args()
    cores = os.cpu_count() or 1
    arguments.threads = arguments.threads or ([1] if arguments.quick else sorted({1, min(2, cores)}))
    return arguments


def _times(rounds: Rounds) -> dict[str, Any]:
    reference = next(iter(rounds.seconds))
    pairs = [(name, reference) for name in rounds.seconds if name != reference]
    pairs += [("cdvft", other) for other in ("lora", "fourierft", "c3a")]
    return {
        "rounds": rounds.count,
        "seconds": {name: round(rounds.median(name), 6) for name in rounds.seconds},
        "ratios": {f"{a} / {b}": vars(rounds.ratio(a, b)) for a, b in pairs},
    }


def _print_ratios(entry: dict[str, Any], title: str, reference: str) -> None:
    over = [f"{m} {entry['ratios'][f'{m} / {reference}']['median']:.3f}" for m in METHODS]
    print(f"{entry['threads']} threads, {title}: over {reference} {', '.join(over)}", flush=True)


def _memory(case: layers.Case) -> dict[str, Any]:
    x, grad = layers.inputs(case)
    built = layers.layers(case)
    peaks = {name: layers.peak_bytes(layers.pass_through(layer, x, grad)) for name, layer in built.items()}
    saved = {name: layers.saved_bytes_per_token(layer, x) for name, layer in built.items()}
    return {**case.record(), "saved_bytes_per_token": saved, "peak_bytes": peaks}


def _growth(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Exponents e of what a method adds to the frozen layer: time ~ tokens^e and ~ width^e, least squares."""
    plain = [e for e in entries if e["d_in"] == e["d_out"] and e["block_size"] is None and e["m"] == 2]
    found = []
    for threads in sorted({e["threads"] for e in plain}):
        for kind, fixed, value in (("tokens", "d_in", 768), ("d_in", "tokens", 512)):
            points = [e for e in plain if e["threads"] == threads and e[fixed] == value]
            exponents = {
                m: _exponent([(e[kind], e["seconds"][m] - e["seconds"]["base"]) for e in points])
                for m in METHODS
            }
            exponents["base"] = _exponent([(e[kind], e["seconds"]["base"]) for e in points])
            found.append(
                {"threads": threads, "with": "width" if kind == "d_in" else "tokens", "exponents": exponents}
            )
    return found


def _exponent(points: list[tuple[float, float]]) -> float | None:
    logs = [(math.log(x), math.log(y)) for x, y in points if y > 0]
    if len(logs) < 3:
        return None
    mean_x, mean_y = (sum(values) / len(logs) for values in zip(*logs, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in logs)
    return round(sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread, 2)


def _slower_choices(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cases in which a plan is faster than the cost model's choice by more than `SLACK`."""
    misses = []
    for entry in entries:
        ways = {way: entry["seconds"][way] for way in layers.PLANS if way in entry["seconds"]}
        best = min(ways, key=lambda way: ways[way], default=None)
        if best and entry["seconds"]["cdvft"] > SLACK * ways[best]:
            loss = entry["seconds"]["cdvft"] / ways[best]
            misses.append(
                {k: entry[k] for k in ("title", "tokens", "threads")} | {"best": best, "loss": round(loss, 3)}
            )
    return misses


if __name__ == "__main__":
    main()
