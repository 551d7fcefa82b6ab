"""The layer's speed on a CUDA or MPS device, timed by the device's own events.

    python -m benchmarks.gpu [--dtypes float32 bfloat16]

Methods take turns as in `benchmarks.speed`: the frozen layer, LoRA, FourierFT, C3A and every way of CDVFT.
Prints the ratios and writes benchmarks/results/gpu.json. Until somebody has run it, `cdvft.kernels.rule` has
only estimates for these devices.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import layers
from benchmarks.rounds import Rounds, interleave

RESULTS = Path(__file__).parent / "results"
CASES = [
    layers.Case(d_out, d_in, tokens, ways=True)
    for d_out, d_in in ((384, 384), (768, 768), (1024, 1024), (4096, 4096), (3072, 768), (768, 3072))
    for tokens in (256, 2048, 8192)
]


def device() -> torch.device | None:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps") if torch.backends.mps.is_available() else None


def timed(run: Callable[[], object]) -> Callable[[], float]:
    """The same call, giving the seconds between two events of the device around it."""
    module: Any = torch.cuda if torch.cuda.is_available() else torch.mps
    event = torch.cuda.Event if torch.cuda.is_available() else torch.mps.event.Event

    def call() -> float:
        start, end = event(enable_timing=True), event(enable_timing=True)
        start.record()
        run()
        end.record()
        module.synchronize()
        return start.elapsed_time(end) / 1e3

    return call


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--dtypes", nargs="+", default=["float32", "bfloat16"], choices=["float32", "bfloat16", "float16"]
    )
    arguments = parser.parse_args()
    target = device()
    if target is None:
        print("No CUDA or MPS device is at hand: nothing was measured.")
        return
    warnings.simplefilter("ignore")
    name = torch.cuda.get_device_name() if target.type == "cuda" else "Apple MPS"
    record: dict[str, Any] = {"device": name, "torch": torch.__version__, "layers": []}
    for dtype in arguments.dtypes:
        for case in CASES:
            candidates = layers.candidates(case, target, getattr(torch, dtype))
            rounds = interleave({n: timed(run) for n, run in candidates.items()}, seconds=2, least=10)
            entry = {
                **case.record(),
                "dtype": dtype,
                "seconds": {n: rounds.median(n) for n in rounds.seconds},
            }
            entry["over_base"] = {n: vars(rounds.ratio(n, "base")) for n in rounds.seconds}
            record["layers"].append(entry)
            _print_case(case, dtype, rounds)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "gpu.json").write_text(json.dumps(record, indent=1) + "\n")


def _print_case(case: layers.Case, dtype: str, rounds: Rounds) -> None:
    over = ", ".join(f"{n} {rounds.ratio(n, 'base').median:.2f}" for n in rounds.seconds if n != "base")
    print(
        f"{case.title}, {case.tokens} tokens, {dtype}: {1e6 * rounds.median('base'):.0f} us frozen; {over}",
        flush=True,
    )


if __name__ == "__main__":
    main()
