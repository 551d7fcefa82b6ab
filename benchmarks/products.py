"""Float32 products by oneDNN beside PyTorch's own: single layers, and whole runs of the offline recipes.

    python -m benchmarks.products [--seconds 4] [--rounds 2]

Layers of MiniLM, ViT-small and SmolLM2-135M, forward and backward by their input, in turns; then CDVFT on a
part of each recipe, in float32, in turns, another way first each round: seconds of steps, after a round that
does not count. Writes results/products.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.machine import machine, write_record
from benchmarks.rounds import interleave, rotated
from cdvft_app.events import Halt
from cdvft_app.settings import RunSettings
from cdvft_app.training import kernels, trainer

RESULTS = Path(__file__).parent / "results" / "products.json"
WAYS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "linear": F.linear,
    "convolved": lambda x, weight: kernels.Frozen.apply(x, weight, None),
}
LAYERS = ((384, 384), (384, 1536), (1536, 384), (576, 1536), (576, 49152))
TOKENS = (64, 256, 1024)
RUNS: dict[str, dict[str, Any]] = {
    "sentiment": {"train_examples": 400, "evaluation_examples": 100},
    "mnist": {"train_examples": 400, "evaluation_examples": 100},
    "addresses": {"train_examples": 64, "evaluation_examples": 16},
}


def step(way: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor, grad: Tensor) -> None:
    torch.autograd.grad(way(x, weight), x, grad)


def layer(tokens: int, d_in: int, d_out: int, seconds: float) -> dict[str, Any]:
    """GFLOP/s of both ways, and the ratio of their times."""
    x, weight = torch.randn(tokens, d_in, requires_grad=True), torch.randn(d_out, d_in)
    grad = torch.randn(tokens, d_out)
    timed = {name: lambda way=way: step(way, x, weight, grad) for name, way in WAYS.items()}
    rounds = interleave(timed, seconds)
    rates = {name: round(4e-9 * tokens * d_in * d_out / rounds.median(name), 1) for name in WAYS}
    return {
        "tokens": tokens,
        "d_in": d_in,
        "d_out": d_out,
        "gflops": rates,
        "time": rounds.ratio("convolved", "linear").median,
    }


def run(recipe: str, is_faster: bool) -> float:
    """Seconds of all steps of a short run."""
    settings = RunSettings.model_validate(
        {"recipe": recipe, "method": "cdvft", "precision": "float32", "evaluations": 1, **RUNS[recipe]}
    )
    with (
        mock.patch.object(kernels, "onednn_is_faster", lambda: is_faster),
        tempfile.TemporaryDirectory() as folder,
    ):
        return trainer.train(settings, lambda event: None, lambda: Halt.NO, Path(folder)).seconds


def in_turns(recipe: str, rounds: int) -> dict[str, Any]:
    """Seconds of both ways' runs, and the median of the rounds' ratios."""
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for turn in range(1 + rounds):
        for name in rotated([*WAYS], turn):
            seconds = run(recipe, is_faster=name == "convolved")
            if turn:  # the first loads model and libraries
                times[name].append(round(seconds, 2))
    ratios = [one / other for one, other in zip(times["convolved"], times["linear"], strict=True)]
    return times | {"time": round(statistics.median(ratios), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each layer and number of tokens")
    parser.add_argument("--rounds", type=int, default=2, help="of both ways of every run")
    arguments = parser.parse_args()
    found: dict[str, Any] = {
        "machine": machine(),
        "is_taken": kernels.onednn_is_faster(),
        "layers": [],
        "runs": {},
    }
    for d_in, d_out in LAYERS:
        for tokens in TOKENS:
            found["layers"].append(layer(tokens, d_in, d_out, arguments.seconds))
            print(json.dumps(found["layers"][-1]), flush=True)
    for recipe in RUNS:
        found["runs"][recipe] = in_turns(recipe, arguments.rounds)
        print(recipe, json.dumps(found["runs"][recipe]), flush=True)
    write_record(RESULTS, found)


if __name__ == "__main__":
    main()
