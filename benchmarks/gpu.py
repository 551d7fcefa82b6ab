"""Everything that is to be known of a CUDA or MPS device, in one command: `make gpu`.

    python -m benchmarks.gpu [--device cuda] [--parts layers steps memory decoding launches race]

Frozen, LoRA, FourierFT, C3A and CDVFT take turns in one process, timed by the device's own events: one
layer by every engine and way, whole training steps, decoding. Memory, launches by the profiler and
operators by a dispatch mode follow, and real races on the embedded recipes
too (clocks and power stand beside each part). CDVFT's layers are timed by every engine and way, and as the
rule chooses, which knows estimates alone; steps are in bfloat16, on CUDA both as they are and captured as
graphs.
Writes benchmarks/results/gpu_<device>.json and .md, and of the layers assets/gpu.json, which the page shows
on Compare, "Roofline".

`--device cpu` is the dry run: every part once on its smallest case, so that the day a GPU is at hand
nothing but the clock is missing. Its numbers mean nothing, and it writes nothing unless `--to` names a
folder.
"""

from __future__ import annotations

import argparse
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import decoding, device_clock, layers, steps
from benchmarks.default_race import race
from benchmarks.device_clock import timed
from benchmarks.gpu_tables import markdown
from benchmarks.machine import machine, write_record
from benchmarks.rounds import Rounds, interleave
from cdvft.kernels import allowed_engines
from cdvft_app.catalog import RECIPES, fits

RESULTS = Path(__file__).parent / "results"
WIDTHS = ((768, 768), (1024, 1024), (2048, 2048), (4096, 4096), (3072, 768), (768, 3072))
TOKENS = (256, 2048, 8192)
RACES = ("sentiment", "addresses")
RACERS = ("cdvft", "lora", "fourierft", "c3a", "head")


class Part:
    """A part of the record: what it measures on a device, within so many seconds a case."""

    def __init__(self, device: torch.device, seconds: float) -> None:
        self.device, self.seconds, self.dry = device, seconds, device.type == "cpu"

    def rounds(self, candidates: dict[str, Callable[[], None]]) -> Rounds:
        runs = {name: timed(run, self.device) for name, run in candidates.items()}
        return interleave(runs, seconds=self.seconds, least=1 if self.dry else 10)

    def cases(self) -> list[tuple[layers.Case, torch.dtype]]:
        if self.dry:
            return [(layers.Case(256, 256, 32, ways=True), torch.float32)]
        return [
            (layers.Case(d_out, d_in, tokens, ways=True), dtype)
            for dtype in (torch.bfloat16, torch.float32)
            for d_out, d_in in WIDTHS
            for tokens in TOKENS
        ]

    def layers(self) -> list[dict[str, Any]]:
        """One layer, forward and backward."""
        found = []
        for case, dtype in self.cases():
            candidates = layers.candidates(case, self.device, dtype)
            rounds = self.rounds(candidates)
            found.append(
                {**case.record(), "title": case.title, "dtype": str(dtype), **_times(rounds, "base")}
            )
            _say(f"{case.title}, {case.tokens} tokens, {dtype}", found[-1], "base")
        return found

    def steps(self) -> list[dict[str, Any]]:
        """Whole training steps in bfloat16: forward, loss, backward, AdamW; on CUDA as graphs, too."""
        found = []
        for model in self._models():
            candidates = steps.candidates(model, self.device, torch.bfloat16)
            rounds = self.rounds(candidates | self._captured(candidates))
            found.append({"title": model.title, **_times(rounds, "frozen")})
            _say(model.title, found[-1], "frozen")
        return found

    def _captured(self, candidates: dict[str, Callable[[], None]]) -> dict[str, Callable[[], None]]:
        found = {}
        for name, step in candidates.items():
            if self.device.type == "cuda":
                try:
                    found[f"{name}, captured"] = device_clock.captured(step, self.device)
                except RuntimeError as error:  # a method that waits for the device in a step has no graph
                    print(f"{name} has no graph: {error}", flush=True)
        return found

    def memory(self) -> list[dict[str, Any]]:
        """Peak of one layer's pass beyond what lay there, and bytes kept for backward beyond the input."""
        found = []
        for case, dtype in self.cases():
            runs = layers.candidates(replace(case, ways=False), self.device, dtype)
            peaks = {name: device_clock.peak_bytes(run, self.device) for name, run in runs.items()}
            found.append({**case.record(), "title": case.title, "dtype": str(dtype), "peak_bytes": peaks})
        return found

    def launches(self) -> list[dict[str, Any]]:
        """Kernels that a training step launches, and operators of torch that it consists of."""
        found = []
        for model in self._models()[:2]:
            counts: dict[str, Any] = {}
            for name, step in steps.candidates(model, self.device, torch.bfloat16).items():
                step()
                with device_clock.Operators() as operators:
                    step()
                counts[name] = {
                    "operators": operators.count, "launches": device_clock.launches(step, self.device)
                }  # fmt: skip
            found.append({"title": model.title, "counts": counts})
        return found

    def decoding(self) -> list[dict[str, Any]]:
        """One token at a time."""
        found = []
        for title, targets in list(decoding.TARGETS.items())[: 1 if self.dry else None]:
            size = {"layers": 1, "vocabulary": 64} if self.dry else {}
            rounds = self.rounds(decoding.decoders(targets, self.device, **size))
            found.append({"title": f"SmolLM2-135M shape, {title}", **_times(rounds, "no adapter")})
        return found

    def race(self) -> list[dict[str, Any]]:
        """Real runs as the page starts them; on the dry run none."""
        found = []
        for recipe in [] if self.dry else RACES:
            for method in RACERS:
                if not fits(method, RECIPES[recipe].kind):
                    continue
                try:
                    found.append(race(recipe, method, seed=0))
                except RuntimeError as error:  # the other runs are kept
                    print(f"{method} on {recipe} has failed: {error}", flush=True)
        return found

    def _models(self) -> tuple[steps.Model, ...]:
        return (steps.DRY,) if self.dry else steps.MODELS


PARTS = ("layers", "steps", "memory", "launches", "decoding", "race")


def measure(device: torch.device, parts: list[str], seconds: float) -> dict[str, Any]:
    """The record of a device."""
    start = time.monotonic()
    record: dict[str, Any] = {
        "machine": machine(), "device": device_clock.describe(device), "dry_run": device.type == "cpu"
    }  # fmt: skip
    part = Part(device, seconds)
    states = {"start": device_clock.state(device)}
    failed: dict[str, str] = {}
    for name in parts:
        try:
            record[name] = getattr(part, name)()
        except RuntimeError as error:  # out of memory, for one: what else is measured is not to be lost
            failed[name] = str(error)
            print(f"{name} has failed: {error}", flush=True)
        states[name] = device_clock.state(device)
    minutes = round((time.monotonic() - start) / 60, 1)
    record |= {"failed": failed, "states_after": states, "minutes": minutes}
    return record


def _times(rounds: Rounds, reference: str) -> dict[str, Any]:
    return {
        "rounds": rounds.count,
        "seconds": {name: rounds.median(name) for name in rounds.seconds},
        "ratios": {name: vars(rounds.ratio(name, reference)) for name in rounds.seconds if name != reference},
    }


def _say(title: str, entry: dict[str, Any], reference: str) -> None:
    over = ", ".join(f"{name} {ratio['median']:.2f}" for name, ratio in entry["ratios"].items())
    print(f"{title}: {1e6 * entry['seconds'][reference]:.0f} us {reference}; {over}", flush=True)


def slug(name: str) -> str:
    """'NVIDIA H100 80GB HBM3' -> 'nvidia_h100_80gb_hbm3': every kind of device keeps a record of its own."""
    return "_".join(re.findall(r"[a-z0-9]+", name.lower())) or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["cuda", "mps", "cpu"], help="default: what is at hand")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--seconds", type=float, default=2, help="a case of a layer, step or decoder")
    parser.add_argument("--to", type=Path, help="the folder to write to")
    parser.add_argument(
        "--tested",
        action="store_true",
        help="the tests on the device have just passed, as in `make gpu`: it is recorded that the fused "
        "kernels serve on such devices",
    )
    arguments = parser.parse_args()
    device = torch.device(arguments.device) if arguments.device else device_clock.at_hand()
    if device is None:
        print("No CUDA or MPS device is at hand: nothing was measured. `--device cpu` is a dry run.")
        return
    warnings.simplefilter("ignore")
    dry = device.type == "cpu"
    record = measure(device, arguments.parts, 0 if dry else arguments.seconds)
    print("\n" + markdown(record))
    to = arguments.to or (None if dry else RESULTS)
    if to is None:
        print("A dry run: nothing is written.")
        return
    path = to / f"gpu_{slug(record['device']['name'])}"
    write_record(path.with_suffix(".json"), record)
    path.with_suffix(".md").write_text(markdown(record))
    print(f"Written: {path}.json and .md.")
    if device.type == "cuda" and arguments.tested:
        allowed_engines.record_verified(torch.cuda.get_device_name(device))
        print(f"Written: {allowed_engines.VERIFIED_DEVICES}. Such devices now use the fused kernels.")
    if failed := record.get("failed"):
        raise SystemExit(f"Not measured, as it has failed: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
