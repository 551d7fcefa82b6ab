"""The rank machine's cases by cdvft: tests/scripts compares what the browser computes with this file.

PYTHONPATH=. python tests/cdvft_app/lessons/test_rank_machine.py    # writes tests/scripts/rank_machine.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from matrices import random, rank
from torch import Tensor

from cdvft.circulant import cd_product, circulant_matmul

FILE = Path(__file__).parents[2] / "scripts" / "rank_machine.json"
D = 8
X = random(3, D, seed=7)[0]


def silenced(c: Tensor, *waves: int) -> Tensor:
    half = torch.fft.rfft(c)
    half[list(waves)] = 0
    return torch.fft.irfft(half, n=D)


def without(vector: Tensor, *places: int) -> Tensor:
    return torch.stack([value * (at not in places) for at, value in enumerate(vector)])


def cases() -> dict[str, tuple[Tensor, Tensor, Tensor, int]]:
    """a1, c, a3, and the rank that the theory promises."""
    a1, c, a3 = random(3, D)
    ones = torch.ones(D, dtype=torch.float64)
    return {
        "all drawn": (a1, c, a3, 8),
        "drawn again": (*random(3, D, seed=1), 8),
        "one zero in a1": (without(a1, 2), c, a3, 7),
        "one zero in a1, one in a3": (without(a1, 2), c, without(a3, 5), 7),
        "two zeros in a3": (a1, c, without(a3, 0, 7), 6),
        "a pair of waves silenced": (a1, silenced(c, 1), a3, 6),
        "the constant silenced": (a1, silenced(c, 0), a3, 7),
        "the alternating wave silenced": (a1, silenced(c, 4), a3, 7),
        "one pair of waves alone": (a1, silenced(c, 0, 1, 3, 4), a3, 2),
        "c all ones": (a1, ones, a3, 1),
        "a diagonal": (a1, without(ones, *range(1, D)), a3, 8),
        "a shift with two zeros": (without(a1, 0, 1), without(ones, 0, 1, 2, 4, 5, 6, 7), a3, 6),
        "one zero in c": (a1, without(c, 3), a3, 8),
        "waves that are zero where a1 and a3 are": (without(a1, 2), silenced(c, 0), without(a3, 5), 7),
        "nothing": (0 * a1, c, a3, 0),
    }


def computed() -> list[dict[str, Any]]:
    made = []
    for name, (a1, c, a3, promised) in cases().items():
        dense = cd_product([a1, a3], [c])
        numbers = {
            "a1": a1,
            "c": c,
            "a3": a3,
            "dense": dense.flatten(),
            "singular": torch.linalg.svdvals(dense),
            "spectrum": torch.view_as_real(torch.fft.rfft(c)),
            "times": circulant_matmul(X, c),
        }
        made.append({"name": name, **{key: one.tolist() for key, one in numbers.items()}, "rank": promised})
    return made


@pytest.mark.parametrize("name", cases())
def test_the_rank_is_what_theory_promises(name: str) -> None:
    a1, c, a3, promised = cases()[name]
    assert rank(cd_product([a1, a3], [c])) == promised


def test_the_kept_file_is_what_cdvft_computes() -> None:
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    now = computed()
    assert kept["x"] == X.tolist() and [one["name"] for one in kept["cases"]] == list(cases())
    for before, after in zip(kept["cases"], now, strict=True):
        assert before.keys() == after.keys() and before["rank"] == after["rank"]
        for part in before.keys() - {"name", "rank"}:
            assert torch.allclose(torch.tensor(before[part]), torch.tensor(after[part]), atol=1e-12), part


if __name__ == "__main__":
    kept = {"x": X.tolist(), "cases": computed()}
    FILE.write_text(json.dumps(kept, separators=(",", ":")) + "\n", encoding="utf-8")
