"""How well each family of structured matrices fits each kind of target, at equal numbers of parameters.

    OMP_NUM_THREADS=1 python -m benchmarks.fit_matrix

Writes benchmarks/results/fit_matrix.json: for every target, size and seed the relative Frobenius error of m =
1, 2, ... circulant-diagonal factors, and of the closed-form families with no more parameters; then how far a
random matrix gets as m passes the bound that counting gives. The seed draws both the target and the starts of
the fit, so that targets without chance in them differ in the starts alone. Takes about five minutes on one
core.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import machine
from cdvft.approximate import (
    TARGETS,
    counting_bound,
    factors_needed,
    fit_circulant_diagonal,
    fit_rivals,
    make_target,
)

RESULTS = Path(__file__).parent / "results" / "fit_matrix.json"
TABLES = ({"n": 24, "most_m": 5, "seeds": 3}, {"n": 64, "most_m": 5, "seeds": 2})
BOUND = {"n": 10, "most_m": 8, "seeds": 3}
RESTARTS = 4


def fits(name: str, n: int, most_m: int, seed: int) -> Iterator[dict[str, Any]]:
    """One row per m: its error and seconds, and the families that spend no more parameters."""
    target = make_target(name, n, seed)
    start = time.process_time()
    for fit in fit_circulant_diagonal(target, most_m, RESTARTS, seed):
        if not fit.finished:
            continue
        seconds = time.process_time() - start
        families = {
            each.family: {
                "size": each.size,
                "parameters": each.parameters,
                "error": float(f"{each.error:.4g}"),
            }
            for each in (fit, *fit_rivals(target, fit.parameters, seed))
        }
        yield {
            "target": name,
            "n": n,
            "seed": seed,
            "m": fit.size,
            "cpu_seconds": round(seconds, 2),
            "fits": families,
        }
        start = time.process_time()


def table(name: str, n: int, most_m: int, seeds: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        rows += fits(name, n, most_m, seed)
        print(
            name, n, seed, [row["fits"]["circulant_diagonal"]["error"] for row in rows[-most_m:]], flush=True
        )
    return rows


def main() -> None:
    torch.set_num_threads(1)
    rows = [row for size in TABLES for name in TARGETS for row in table(name, **size)]
    bound = table("gaussian", **BOUND)
    for row in bound:
        row["dimension"] = counting_bound(row["n"], row["m"]).dimension
    result = {
        "command": "OMP_NUM_THREADS=1 python -m benchmarks.fit_matrix",
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "restarts": RESTARTS,
        "rows": rows,
        "bound": {"factors_needed": factors_needed(BOUND["n"]), "rows": bound},
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"Wrote {RESULTS.name}: {len(rows)} rows, {RESULTS.stat().st_size:,} bytes.")


if __name__ == "__main__":
    main()
