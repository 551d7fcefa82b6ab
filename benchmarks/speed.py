"""Speed and memory of CDVFT beside a frozen layer, LoRA, FourierFT and C3A: ratios measured in one process.

    python -m benchmarks.speed [--quick] [--threads 1 2]
    python -m benchmarks.speed --only 'p ='     # layers whose title contains it, anew in the record

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
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import layers, steps
from benchmarks.machine import caches, machine, write_record
from benchmarks.rounds import Rounds, interleave
from benchmarks.tables import markdown, verdicts
from cdvft.blocks import partition
from cdvft.circulant import Factors
from cdvft.kernels import native

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
    quick, only = arguments.quick, arguments.only
    path = RESULTS / f"speed_{_slug(here['cpu'])}"
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for case in layers.QUICK if quick else layers.FULL:
            if only not in case.title:
                continue
            rounds = interleave(layers.candidates(case), seconds=2 if quick else 5)
            record["layers"].append(
                {**case.record(), "title": case.title, "threads": threads, **_times(rounds)}
            )
            _print_ratios(record["layers"][-1], f"{case.title}, {case.tokens} tokens", "base")
        for model in () if only else steps.MODELS[:1] if quick else steps.MODELS:
            rounds = interleave(steps.candidates(model), seconds=6 if quick else 80)
            record["steps"].append({"title": model.title, "threads": threads, **_times(rounds)})
            _print_ratios(record["steps"][-1], model.title, "frozen")
    if only:
        anew = {"only": only, "threads": arguments.threads, "load": round(here["load_average_at_start"], 1)}
        record = _put_into(json.loads(path.with_suffix(".json").read_text()), record["layers"], anew)
    else:
        torch.set_num_threads(1)
        record["memory"] = [_memory(layers.square(d, 512)) for d in ((768,) if quick else (384, 768, 1024))]
        record["parts"] = [parts(case) for case in (CASES[:1] if quick else CASES)]
        record["minutes"] = round((time.monotonic() - start) / 60, 1)
    record["growth"] = [] if quick else _growth(record["layers"])
    record["slower_choices"] = _slower_choices(record["layers"])
    record["targets"] = verdicts(record)
    tables = markdown(record)
    print("\n" + tables)
    if not quick:
        write_record(path.with_suffix(".json"), record)
        path.with_suffix(".md").write_text(tables)
        path.with_suffix(".svg").write_text(chart(record["layers"]))
        print(f"Written: {path}.json, .md and .svg.")


def _put_into(record: dict[str, Any], entries: list[dict[str, Any]], anew: dict[str, Any]) -> dict[str, Any]:
    """A record with these entries of layers in place of its own."""
    found = {(e["title"], e["tokens"], e["threads"]): e for e in entries}
    kept = [found.get((e["title"], e["tokens"], e["threads"]), e) for e in record["layers"]]
    return {**record, "layers": kept, "measured_anew": [*record.get("measured_anew", ()), anew]}


def _slug(processor: str) -> str:
    """'Intel(R) Xeon(R) Processor' -> 'intel_xeon': every kind of machine keeps a record of its own."""
    name = re.sub(r"\(\w+\)|\bprocessor\b|\bcpu\b.*", " ", processor.lower())
    return "_".join(re.findall(r"[a-z0-9]+", name)) or "unknown"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few cases in about a minute; writes nothing")
    parser.add_argument("--only", default="", help="layers whose title contains this, for the record")
    parser.add_argument(
        "--threads", type=int, nargs="+", help="numbers of threads (default: 1 and 2; quick: 1)"
    )
    arguments = parser.parse_args()
    if arguments.quick and arguments.only:
        parser.error("--quick writes nothing: leave out --only, or --quick.")
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


# The time CDVFT adds to a frozen layer, part by part, where the forward pass multiplies by W + alpha dW.
# Where a target is missed, it shows what would have to get faster: building W + alpha dW, or the transforms
# of the backward pass, and these by arithmetic or by memory traffic.

CASES = (
    layers.square(768, 2048),
    layers.square(1024, 2048),
    layers.square(2048, 2048),
    layers.Case(768, 3072, 2048),
)
IN_CACHE = 64
"""Tokens whose rows the second-level cache holds from one call to the next."""


@torch.no_grad()
def parts(case: layers.Case, rounds: int = 15) -> dict[str, Any]:
    """Medians in microseconds a token on one thread, every part in the order of a training step.

    Returns:
        `frozen` products W x and g W; `merging` W + alpha dW; `gradients` by the factors with what they add
        to g W; `in_cache` what these take on `IN_CACHE` tokens again and again, without what a call takes
        that has no token at all; that, spread over the tokens, is `call`.
    """
    torch.manual_seed(0)
    x, grad = (t.detach() for t in layers.inputs(case))
    weight = torch.randn(case.d_out, case.d_in)
    part = partition(case.d_out, case.d_in)
    circulant = torch.randn(part.q1, part.q2, part.p)
    factors = Factors([torch.ones(case.d_in), torch.ones(case.d_out)], [circulant], 1.0)
    few_sum = torch.zeros(IN_CACHE, case.d_in)

    def again(tokens: int) -> None:
        native.backward(x[:tokens], grad[:tokens], factors, few_sum[:tokens])

    found: dict[str, list[float]] = {}

    def timed(name: str, run: Callable[[], Any]) -> Any:
        start = time.thread_time()
        result = run()
        found.setdefault(name, []).append(1e6 * (time.thread_time() - start))
        return result

    def step() -> None:
        merged = timed("merging", lambda: native.merged_weight(weight, factors))
        timed("forward", lambda: x @ merged.T)
        grad_x = timed("backward", lambda: grad @ weight)
        timed("gradients", lambda: native.backward(x, grad, factors, grad_x))

    for _ in range(rounds):
        step()
        for name, tokens in (("few", IN_CACHE), ("none", 0)):
            again(tokens)
            timed(name, lambda: again(tokens))  # noqa: B023
    median = {name: statistics.median(times) for name, times in found.items()}
    found_parts = {
        "frozen": (median["forward"] + median["backward"]) / case.tokens,
        "merging": median["merging"] / case.tokens,
        "gradients": median["gradients"] / case.tokens,
        "in_cache": (median["few"] - median["none"]) / IN_CACHE,
        "call": median["none"] / case.tokens,
    }
    return {"title": case.title, **case.record(), **{k: round(v, 3) for k, v in found_parts.items()}}


# The layers' ratios as an SVG chart: time over the frozen layer's, by method, a panel a width.

COLOURS = {"fourierft": "#009E73", "c3a": "#CC79A7", "lora": "#E69F00", "cdvft": "#0072B2"}
NAMES = {"fourierft": "FourierFT", "c3a": "C3A", "lora": "LoRA", "cdvft": "CDVFT"}
WIDTH, HEIGHT, LEFT, TOP, GAP = 210, 220, 54, 54, 18
LOWEST, HIGHEST = 1.0, 6.0


def chart(entries: list[dict[str, Any]], threads: int = 1) -> str:
    """Time over the frozen layer's against tokens, both log, for square layers of default block size."""
    plain = [
        e
        for e in entries
        if e["threads"] == threads and e["d_in"] == e["d_out"] and not e["block_size"] and e["m"] == 2
    ]
    widths = [d for d in sorted({e["d_in"] for e in plain}) if sum(e["d_in"] == d for e in plain) > 2]
    total = LEFT + len(widths) * (WIDTH + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {TOP + HEIGHT + 70}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>Time over the frozen layer's, {threads} thread</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for n, width in enumerate(widths):
        parts += _panel(
            LEFT + n * (WIDTH + GAP), width, [e for e in plain if e["d_in"] == width], first=n == 0
        )
    for n, (method, colour) in enumerate(COLOURS.items()):
        x = LEFT + n * 110
        parts.append(f'<circle cx="{x + 6}" cy="18" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{x + 16}" y="22" fill="#222">{NAMES[method]}</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP + HEIGHT + 52}" fill="#222">tokens in the batch</text></svg>')
    return "\n".join(parts) + "\n"


def _panel(left: float, width: int, entries: list[dict[str, Any]], first: bool) -> list[str]:
    tokens = [e["tokens"] for e in entries]
    low, high = math.log(min(tokens)), math.log(max(tokens))

    def x(count: int) -> float:
        return left + 12 + (math.log(count) - low) / (high - low) * (WIDTH - 24)

    def y(ratio: float) -> float:
        share = math.log(min(max(ratio, LOWEST), HIGHEST) / LOWEST) / math.log(HIGHEST / LOWEST)
        return TOP + HEIGHT * (1 - share)

    parts = [f'<text x="{left}" y="{TOP - 10}" fill="#222">width {width}</text>']
    for tick in (1, 1.2, 1.5, 2, 3, 4, 6):
        parts.append(f'<path d="M{left} {y(tick):.1f}H{left + WIDTH}" stroke="#ddd"/>')
        if first:
            parts.append(
                f'<text x="{left - 8}" y="{y(tick) + 4:.1f}" text-anchor="end" fill="#555">{tick} x</text>'
            )
    for count in tokens:
        parts.append(
            f'<text x="{x(count):.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle" font-size="10" '
            f'fill="#555">{count}</text>'
        )
    for method, colour in COLOURS.items():
        points = [(x(e["tokens"]), y(e["ratios"][f"{method} / base"]["median"])) for e in entries]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
    return parts


if __name__ == "__main__":
    main()
