"""How often the fitter finds factors that are known to be there: its self-test, in hundreds.

    OMP_NUM_THREADS=1 python -m benchmarks.fitter

Writes benchmarks/results/fitter.json. For m = 2, of each kind and size: how many of 100 matrices the start by
logarithms and 60 rounds of alternating least squares find (`fit_circulant_diagonal` has that start among its
own, so that it finds no fewer), and how many its random starts find without it. A matrix without noise counts
as found at a relative error under 1e-6; one with noise where the error is at most 1.05 times that which
alternating reaches from the true factors. For m = 3: of how many random products the whole fit finds factors.
Last, what a whole fit takes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from benchmarks.machine import machine, write_compact
from cdvft.circulant import cd_product
from cdvft_app.approximate import fit_circulant_diagonal, make_target
from cdvft_app.approximate.circulant_diagonal import (
    BATCH_ENTRIES,
    MAX_STARTS,
    ROUNDS,
    alternate,
    balanced,
    gauss_newton,
    logarithmic_start,
    product,
    random_starts,
)

RESULTS = Path(__file__).parent / "results" / "fitter.json"
SIZES = (10, 16, 32, 64)
MEMBERS = 100
FOUND, NEAR = 1e-6, 1.05
THREE = {"sizes": (10, 16), "members": 20, "restarts": 4}
TIMED = ("gaussian", "smooth_kernel", "sparse")

KINDS = ("random", "zeros", "rank one", "1 % of noise", "10 % of noise")
_NOISE = {"1 % of noise": 0.01, "10 % of noise": 0.1}


def member(kind: str, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """A product diag(a) circ(c) diag(b) whose factors are known, which a fitter of m = 2 must find.

    Returns the matrix (n, n), and the vectors (a_1, c_2, a_3) of which it, without its noise, is made.
    Those with zeros are in turn a diagonal, a cyclic shift with weights, and products of vectors of which
    three in ten or six in ten entries are zero. Noise is normal, its norm relative to the matrix's.
    """
    generator = Generator().manual_seed(1000 * n + seed)
    vectors = torch.randn(3, n, generator=generator, dtype=torch.float64)
    if kind == "rank one":
        vectors[1] = 1
    if kind == "zeros" and seed % 4 < 2:
        shift = 0 if seed % 4 == 0 else int(torch.randint(1, n, (1,), generator=generator))
        vectors[1] = torch.eye(n, dtype=torch.float64)[shift]
    elif kind == "zeros":
        kept = torch.rand(3, n, generator=generator) > (0.3 if seed % 4 == 2 else 0.6)
        kept[:, 0] = True  # so that an entry is left
        vectors *= kept
    matrix = cd_product([vectors[0], vectors[2]], [vectors[1]])
    noise = torch.randn(n, n, generator=generator, dtype=torch.float64)
    share = _NOISE.get(kind, 0.0)
    return matrix + share * matrix.norm() / noise.norm() * noise, vectors


def alternated(target: Tensor, starts: list[Tensor]) -> tuple[float, Tensor]:
    """The least relative error that alternating reaches from the starts, and its vectors."""
    walk = alternate(target, torch.stack(starts))
    for _ in range(ROUNDS):
        vectors, errors = next(walk)
    best = vectors[errors.argmin()]
    return float((target - product(best)).norm()), best


def finds(target: Tensor, starts: list[Tensor], wanted: float) -> bool:
    """Whether an error reaches what is wanted, polished where alternating is slow."""
    error, best = alternated(target, starts)
    return error <= wanted or any(e**0.5 <= wanted for _, e in gauss_newton(target, balanced(best)))


def rows_of_two() -> Iterator[dict[str, Any]]:
    for n in SIZES:
        for kind in KINDS:
            with_logarithms = without = 0
            for seed in range(MEMBERS):
                target, truth = member(kind, n, seed)
                truth[2] /= target.norm()
                target = target / target.norm()
                wanted = NEAR * alternated(target, [truth])[0] if "noise" in kind else FOUND
                count = min(MAX_STARTS, BATCH_ENTRIES // n**2)
                random = random_starts(target, 3, count, Generator().manual_seed(seed))
                with_logarithms += finds(target, [logarithmic_start(target)], wanted)
                without += finds(target, random, wanted)
            row = {"n": n, "kind": kind, "found": with_logarithms, "without_logarithms": without}
            print(row, flush=True)
            yield row


def rows_of_three() -> Iterator[dict[str, Any]]:
    for n in THREE["sizes"]:
        found = 0
        for seed in range(THREE["members"]):
            vectors = torch.randn(5, n, generator=Generator().manual_seed(seed), dtype=torch.float64)
            *_, fit = fit_circulant_diagonal(product(vectors), 3, THREE["restarts"], seed)
            found += fit.error < FOUND
        row = {"n": n, "members": THREE["members"], "restarts": THREE["restarts"], "found": found}
        print(row, flush=True)
        yield row


def seconds() -> Iterator[dict[str, Any]]:
    """Seconds of the fit that the lab makes: up to m = 3, on one thread."""
    for name in TIMED:
        start = time.process_time()
        for _ in fit_circulant_diagonal(make_target(name, 64), 3, restarts=2):
            pass
        row = {"target": name, "n": 64, "most_m": 3, "cpu_seconds": round(time.process_time() - start, 2)}
        print(row, flush=True)
        yield row


def main() -> None:
    torch.set_num_threads(1)
    result = {
        "command": "OMP_NUM_THREADS=1 python -m benchmarks.fitter",
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "members": MEMBERS,
        "m2": list(rows_of_two()),
        "m3": list(rows_of_three()),
        "seconds": list(seconds()),
    }
    write_compact(RESULTS, result)


if __name__ == "__main__":
    main()
