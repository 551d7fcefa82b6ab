"""Formulas that the page's scripts compute, too: one table of cases by Python, which tests/scripts reads.

PYTHONPATH=. python tests/cdvft_app/ui/test_script_formulas.py    # writes tests/scripts/formulas.json
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cdvft import cost
from cdvft.cost import flops
from cdvft_app.approximate import fit_low_rank
from cdvft_app.events import TrainingFailed
from cdvft_app.methods import METHODS
from cdvft_app.metrics import METRICS
from cdvft_app.prediction import observations
from cdvft_app.training import callbacks

FILE = Path(__file__).parents[2] / "scripts" / "formulas.json"


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def updates() -> Iterator[dict[str, Any]]:
    """The weight update that the browser rebuilds from what is trained: `data.js` and `updates.js`."""

    def cdvft(*vectors: Tensor) -> dict[str, Tensor]:
        return dict(zip(("diagonal.0", "circulant.0", "diagonal.1"), vectors, strict=True))

    places = torch.tensor([[0, 4, 2, 5, 0], [1, 0, 3, 2, 2]], dtype=torch.int32)
    cases: list[tuple[str, dict[str, Any], int, int, dict[str, Tensor]]] = [
        ("lora", {"r": 2}, 6, 4, {"A": drawn(1, 2, 4), "B": drawn(2, 6, 2)}),
        ("fourierft", {"n": 5, "scaling": 150.0}, 6, 4, {"spectrum": drawn(3, 5), "indices": places}),
        ("c3a", {"block_size": 2}, 6, 4, {"kernel": drawn(4, 3, 2, 2)}),
        ("cdvft", {"m": 2, "alpha": 0.5}, 4, 4, cdvft(drawn(5, 4), drawn(6, 1, 1, 4), drawn(7, 4))),
        ("cdvft", {"m": 2, "block_size": 4}, 10, 7, cdvft(drawn(8, 7), drawn(9, 3, 2, 4), drawn(10, 10))),
    ]
    for key, settings, d_out, d_in, vectors in cases:
        method = METHODS[key].model_validate(settings)
        frozen = torch.zeros(d_out, d_in)  # which none of them needs
        update = method.update(d_out, d_in, vectors, frozen.clone)
        given = {"method": key, "d_out": d_out, "d_in": d_in, "scale": method.scale(d_in)}
        told = {
            name: {
                "shape": [*one.shape],
                "type": str(one.dtype).removeprefix("torch."),
                "values": one.flatten().tolist(),
            }
            for name, one in vectors.items()
        }
        yield {"given": {**given, "vectors": told}, "expected": update.flatten().tolist()}


def products() -> Iterator[dict[str, Any]]:
    """FLOPs of one product with a circulant, row by row and by FFT: `products.js`."""
    for d in (16, 24, 768, 4096):
        by_fft = 2 * flops.real_fft_flops(d) + flops.complex_products(d // 2 + 1, 1)
        yield {"given": d, "expected": [2.0 * d * d, by_fft]}


def ways_through_blocks() -> Iterator[dict[str, Any]]:
    """FLOPs of a token's way through p x p blocks between two diagonals: `flops.js`."""
    for rows, cols, p in ((1536, 384, 384), (1536, 384, 3), (48, 64, 28), (64, 64, 64)):
        spent = flops.cdvft(cost.Shape("x", rows, cols), 2, p).forward_per_token
        yield {"given": [rows, cols, p], "expected": spent}


def low_ranks() -> Iterator[dict[str, Any]]:
    """The nearest matrix of a rank, and how near it is: `singular.js`."""
    for n, r in ((4, 1), (7, 3), (7, 7)):
        target = drawn(20 + n + r, n, n).double()
        fit = fit_low_rank(target, r)
        given = {"n": n, "r": r, "target": target.flatten().tolist()}
        yield {"given": given, "expected": [fit.error, *fit.dense.flatten().tolist()]}


def watches() -> Iterator[dict[str, Any]]:
    """The step at which the watch ends a run with these losses, 0 for none: `trial.js`."""
    series = {
        "falls": [1 / (1 + step) for step in range(90)],
        "rises": [1 + step / 4 for step in range(90)],
        "rises and falls again": [5.0 if 30 <= step < 50 else 1.0 for step in range(90)],
        "rises late": [1.0 if step < 70 else 2.0**step for step in range(90)],
        "is no number": [1.0, 2.0, math.nan],
        "is infinite": [1.0, math.inf],
    }
    for losses in series.values():
        watch, ended = callbacks.LossWatch(0.1), 0
        for step, loss in enumerate(losses, 1):
            try:
                watch.see(step, loss)
            except TrainingFailed:
                ended = step
                break
        told = [loss if math.isfinite(loss) else None for loss in losses]
        yield {"given": told, "expected": float(ended)}


def scores() -> Iterator[dict[str, Any]]:
    """A metric's value in words: `format.js`."""
    for key, metric in METRICS.items():
        for value in (0.0, 0.1234, 0.9995, 1.0):
            yield {"given": [key, value], "expected": metric.format(value)}


def spreads() -> Iterator[dict[str, Any]]:
    """How far a forecast for another method on the same model is left open: `run_model.js`."""
    told = {one.words: one.spread for one in observations.SIMILARITIES}
    yield {"given": None, "expected": told["of other methods on the same model"]}


TABLE: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "update": updates,
    "product": products,
    "blocks": ways_through_blocks,
    "low_rank": low_ranks,
    "watch": watches,
    "score": scores,
    "spread": spreads,
}


@pytest.mark.parametrize("name", TABLE)
def test_the_kept_cases_are_what_python_computes(name: str) -> None:
    kept, now = json.loads(FILE.read_text(encoding="utf-8"))[name], [*TABLE[name]()]
    assert [one["given"] for one in kept] == [one["given"] for one in now]
    for before, after in zip(kept, now, strict=True):
        expected = after["expected"]
        exact = isinstance(expected, str)
        assert before["expected"] == (expected if exact else pytest.approx(expected, rel=1e-6, abs=1e-7))


if __name__ == "__main__":
    table = {name: [*cases()] for name, cases in TABLE.items()}
    FILE.write_text(json.dumps(table, separators=(",", ":")) + "\n", encoding="utf-8")
