"""Small matrices fitted with m = 1 ... 8 factors, for the lesson on how far m factors reach.

    OMP_NUM_THREADS=1 python -m benchmarks.record_lesson_factors

Writes assets/lesson_factors.json: each target matrix, and for every m the vectors of the best fit that was
found and its relative Frobenius error. The page rebuilds the products from the vectors. About a minute on one
core.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.fit_matrix import dimension, factors_needed
from benchmarks.machine import write_compact
from cdvft_app.approximate import TARGETS, fit_circulant_diagonal, make_target

FILE = Path(__file__).parents[1] / "assets" / "lesson_factors.json"
NAMES = ("gaussian", "low_rank", "smooth_kernel", "permutation")
SIDE, MAX_M, RESTARTS, SEED = 10, 8, 4, 0


def record(name: str) -> dict[str, Any]:
    """One target with its fits, numbers rounded to five digits."""
    target = make_target(name, SIDE, SEED)
    fits = [fit for fit in fit_circulant_diagonal(target, MAX_M, RESTARTS, SEED) if fit.finished]
    print(name, [round(fit.error, 4) for fit in fits], flush=True)
    return {
        "key": name,
        "title": TARGETS[name].title,
        "target": _rounded(target.flatten()),
        "fits": [
            {"m": fit.size, "error": float(f"{fit.error:.3g}"), "vectors": [_rounded(v) for v in fit.factors]}
            for fit in fits
        ],
    }


def _rounded(values: torch.Tensor) -> list[float]:
    return [float(f"{value:.6g}") for value in values.tolist()]


def main() -> None:
    torch.set_num_threads(1)
    recorded = {
        "command": "OMP_NUM_THREADS=1 python -m benchmarks.record_lesson_factors",
        "date": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__,
        "n": SIDE,
        "restarts": RESTARTS,
        "dimensions": [dimension(SIDE, m) for m in range(1, MAX_M + 1)],
        "factors_needed": factors_needed(SIDE),
        "targets": [record(name) for name in NAMES],
    }
    write_compact(FILE, recorded)


if __name__ == "__main__":
    main()
