"""How well CDVFT and the best low rank fit each kind of target, at a matched parameter budget.

    OMP_NUM_THREADS=1 python -m benchmarks.fit_matrix [--publish]

Writes benchmarks/results/fit_matrix.json: for every target, size and seed the relative Frobenius error of m =
1, 2, ... circulant-diagonal factors, and of the best rank with no more parameters; then how far a
random matrix gets as m passes the bound that counting gives. The seed draws both the target and the starts of
the fit, so that targets without chance in them differ in the starts alone. Takes about five minutes on one
core. Then, or with --publish alone, writes assets/fit_table.json: what the lab's table shows of it.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from benchmarks.machine import machine, read_record, write_compact
from cdvft_app.approximate import TARGETS, fit_circulant_diagonal, fit_low_rank, make_target
from cdvft_app.ui.learn.lab_table import FILE

RESULTS = Path(__file__).parent / "results" / "fit_matrix.json"
TABLES = ({"n": 24, "most_m": 5, "seeds": 3}, {"n": 64, "most_m": 5, "seeds": 2})
BOUND = {"n": 10, "most_m": 8, "seeds": 3}
RESTARTS = 4
SHOWN_SIDE, SHOWN_M = 64, (2, 3, 5)


def dimension(n: int, m: int) -> int:
    """Dimension of the set of products of m diagonal and m - 1 circulant n x n factors, at most n^2.

    It is (2m - 1)(n - 1) + 1: of the (2m - 1) n numbers in the vectors 2m - 2 change nothing, since a scalar
    may move between any two neighbours. Below n^2 almost no matrix is such a product; the count is a
    necessary condition only, and it says nothing about the size of the error. It is the same for real numbers
    and, in complex dimensions, for complex ones.
    """
    return min(n * n, (2 * m - 1) * (n - 1) + 1)


def factors_needed(n: int) -> tuple[int, int]:
    """Least and sufficient m for a generic complex n x n matrix: (n + 2) / 2, rounded up, and n.

    The first follows from counting: (2m - 1)(n - 1) + 1 >= n^2. The second is the theorem of Huhtanen and
    Perämäki, "Factoring matrices into the product of circulant and diagonal matrices", J. Fourier Anal. Appl.
    21 (2015): a generic complex matrix is a product of at most 2n - 1 circulant and diagonal factors, so n
    diagonals around n - 1 circulants. It is stated for complex matrices; the adapters are real.
    """
    return (1 if n == 1 else -(-(n + 2) // 2)), n


def fits(name: str, n: int, most_m: int, seed: int) -> Iterator[dict[str, Any]]:
    """One row per m: its error and seconds, and the best rank with no more parameters."""
    target = make_target(name, n, seed)
    start = time.process_time()
    for fit in fit_circulant_diagonal(target, most_m, RESTARTS, seed):
        if not fit.finished:
            continue
        seconds = time.process_time() - start
        rank = min(fit.parameters // (2 * n), n)
        families = {
            each.family: {
                "size": each.size,
                "parameters": each.parameters,
                "error": float(f"{each.error:.4g}"),
            }
            for each in (fit, *([fit_low_rank(target, rank)] if rank else []))
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


def published(result: dict[str, Any]) -> dict[str, Any]:
    """The lab's table: mean errors over seeds by m, target and family, and by m for the bound."""
    errors: dict[str, Any] = {str(m): defaultdict(lambda: defaultdict(list)) for m in SHOWN_M}
    for row in result["rows"]:
        if row["n"] == SHOWN_SIDE and row["m"] in SHOWN_M:
            for family, fit in row["fits"].items():
                errors[str(row["m"])][row["target"]][family].append(fit["error"])
    of_random: dict[str, list[float]] = defaultdict(list)
    for row in result["bound"]["rows"]:
        of_random[str(row["m"])].append(row["fits"]["circulant_diagonal"]["error"])
    return {
        "command": result["command"],
        "date": result["date"],
        "cpu": result["machine"]["cpu"],
        "side": SHOWN_SIDE,
        "tables": {
            m: {
                target: {family: _short(mean(found)) for family, found in families.items()}
                for target, families in targets.items()
            }
            for m, targets in errors.items()
        },
        "bound": {
            "side": result["bound"]["rows"][0]["n"],
            "factors_needed": result["bound"]["factors_needed"],
            "errors": {m: _short(mean(found)) for m, found in of_random.items()},
        },
    }


def _short(error: float) -> float:
    return float(f"{error:.4g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--publish", action="store_true", help="fit nothing, write what the lab shows")
    if parser.parse_args().publish:
        write_compact(FILE, published(read_record(RESULTS)))
        return
    torch.set_num_threads(1)
    rows = [row for size in TABLES for name in TARGETS for row in table(name, **size)]
    bound = table("gaussian", **BOUND)
    for row in bound:
        row["dimension"] = dimension(row["n"], row["m"])
    result = {
        "command": "OMP_NUM_THREADS=1 python -m benchmarks.fit_matrix",
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "restarts": RESTARTS,
        "rows": rows,
        "bound": {"factors_needed": factors_needed(BOUND["n"]), "rows": bound},
    }
    write_compact(RESULTS, result)
    write_compact(FILE, published(result))


if __name__ == "__main__":
    main()
