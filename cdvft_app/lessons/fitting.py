"""The lab's fit of one matrix by all families at growing budgets, with progress, within a time limit."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from statistics import median

import numpy as np
import torch
from torch import Tensor

from cdvft_app.approximate import (
    Fit,
    block_sizes,
    fit_block_circulant,
    fit_circulant_diagonal,
    fit_diagonal_blocks,
    fit_rivals,
)
from cdvft_app.format import joined
from cdvft_app.lessons.families import FAMILIES
from cdvft_app.payloads.learn import LabView

SECONDS = 60.0
"""Longest time that one fit may take; the fits found by then are shown."""
PROGRESS_SECONDS = 0.4
"""Least seconds between two progress messages."""
MAX_M = 5
EQUAL_ERROR = 1e-6
"""Errors that differ by less count as equal."""
FAR_ERROR = 0.5
"""Relative error from which on no family has come close."""


def fitted(target: Tensor, most_m: int, about: str, seconds: float = SECONDS) -> Iterator[LabView]:
    """Fit m = 1 ... most_m factors and, after each m, the other families with no more numbers, blocks too.

    Args:
        target: (n, n)
        most_m: largest m, from 1 to 5
        about: a sentence on the target, put at the end of the verdict

    Yields:
        what the lab shows: status, fits so far, pictures (of the target and of each family's residual),
        sentence (the verdict, at the end), and whether it still runs

    Raises:
        ValueError: if the target cannot be fitted, or most_m is out of range.
    """
    if most_m not in range(1, MAX_M + 1):
        raise ValueError(f"m is {most_m!r}; whole numbers from 1 to {MAX_M} go.")
    start, n = time.monotonic(), target.shape[-1]
    limit = float(target.abs().max()) or 1.0
    done: list[Fit] = []
    blocks: dict[int, Fit] = {}
    best, shown = None, 0.0
    pictures = {"target": _picture(target, limit)}

    def state(status: str, running: bool, sentence: str = "") -> LabView:
        fits = [*done, best] if best else done
        return {
            "running": running,
            "status": status,
            "sentence": sentence,
            "n": n,
            "limit": limit,
            "fits": [
                {
                    "family": f.family,
                    "size": f.size,
                    "parameters": f.parameters,
                    "error": f.error,
                    "spread": [f.restarts[0], median(f.restarts), f.restarts[-1]] if f.restarts else [],
                }
                for f in fits
            ],
            "pictures": pictures,
        }

    for fit in fit_circulant_diagonal(target, most_m, restarts=2):
        spent = time.monotonic() - start
        best = fit
        late = spent > seconds
        if fit.finished or late:
            for size in block_sizes(target.shape[0], target.shape[1], 0 if late else fit.parameters):
                if size not in blocks:
                    blocks[size] = fit_diagonal_blocks(target, size)
                    yield state(f"Fitting blocks of {size} · {time.monotonic() - start:.0f} s", True)
            closest = min(blocks.values(), key=lambda found: found.error, default=None)
            rivals = [*([closest] if closest else []), *fit_rivals(target, fit.parameters)]
            done += [fit, *rivals]
            best = None
            pictures = {"target": pictures["target"]} | {
                each.family: _picture(target - each.dense, limit) for each in (fit, *rivals)
            }
        if late:
            yield state(
                f"Stopped after {spent:.0f} s, the limit, at m = {fit.size}",
                False,
                verdict(target, done, about),
            )
            return
        if fit.finished or spent - shown > PROGRESS_SECONDS:
            shown = spent
            yield state(f"Fitting m = {fit.size} of {most_m} · {spent:.0f} s", True)
    yield state(f"Done in {time.monotonic() - start:.1f} s", False, verdict(target, done, about))


def fitted_on_one_thread(
    target: np.ndarray, most_m: int, about: str, seconds: float = SECONDS
) -> Iterator[LabView]:
    """`fitted` for a child process: a second thread only slows work on matrices so small."""
    torch.set_num_threads(1)
    return fitted(torch.from_numpy(target), most_m, about, seconds)


def verdict(target: Tensor, fits: list[Fit], about: str) -> str:
    """Sentences on which family came closest at the largest budget, by how much and why, and on the target.

    Fits in closed form are their families' optima; those of the factors and of blocks are the best of some
    random starts. Such a fit loses to another only where its gap is larger than that between its best and its
    median start; otherwise it is too close to call.
    """
    factors = max((fit for fit in fits if fit.family == "circulant_diagonal"), key=lambda fit: fit.parameters)
    last = {fit.family: fit for fit in fits if fit.parameters <= factors.parameters}
    intro = f"With at most {factors.parameters:,} numbers, "
    own = f"{_percent(factors.error)} for m = {factors.size}"
    rivals = sorted((fit for fit in last.values() if fit is not factors), key=lambda fit: fit.error)
    if not rivals:
        return f"{intro}only circulant-diagonal factors are small enough: {own}. {about}"
    first = min(factors.error, rivals[0].error)
    equal = sorted(
        (f for f in last.values() if f.error - first < EQUAL_ERROR), key=lambda fit: fit.parameters
    )
    rival, rival_error = FAMILIES[rivals[0].family], _percent(rivals[0].error)
    if len(equal) > 1:
        names = [FAMILIES[fit.family] for fit in equal]
        found = (
            f"{joined(names)} come equally close, with {_percent(first)}; "
            f"{names[0]} with the fewest numbers, {equal[0].parameters:,}"
        )
    elif ends := _undecided_ends(rivals[0] if equal == [factors] else factors, first):
        found = (
            f"{rival}, with {rival_error}, and circulant-diagonal factors, with {own}, are too close to "
            f"call: of the {'blocks' if equal == [factors] else 'factors'}' {len(ends)} random starts the "
            f"best ended at {_percent(ends[0])} and half of them above {_percent(median(ends))}, so that a "
            "better fit may exist"
        )
    elif equal == [factors]:
        found = f"circulant-diagonal factors come closest: {own}, against {rival_error} for {rival}"
    else:
        wins = "wins" if rivals[0].family == "low_rank" else "win"
        found = f"{rival} {wins}: {rival_error}, against {own} circulant-diagonal factors"
    far = (
        ""
        if first < FAR_ERROR
        else " All are far off: with so few numbers none of these forms says much of this matrix."
    )
    return f"{intro}{found}. {_reason(target, equal[0])}{far} {about}"


def _undecided_ends(searched: Fit, first: float) -> tuple[float, ...]:
    """The errors of the fit's random starts if they spread wider than its gap to the first; else empty."""
    ends = searched.restarts
    return ends if ends and searched.error - first <= median(ends) - searched.error else ()


def _reason(target: Tensor, winner: Fit) -> str:
    """Return a sentence on why this family came closest, from shares of the target's sum of squares."""
    size, share = winner.size, f"{_share(winner.error)} of its sum of squares"
    is_far = winner.error >= FAR_ERROR
    if winner.family == "low_rank":
        values = "largest singular value holds" if size == 1 else f"{size} largest singular values hold"
        return f"Its {values} {share}{'' if is_far else ', so few directions matter'}."
    if winner.family == "fourier":
        return f"{size:,} of its {target.numel():,} Fourier entries hold {share}."
    if winner.family == "fourierft":
        return f"Waves drawn blindly hold {share}, and no other family finds more."
    if winner.family == "diagonal_blocks":
        return f"Circulant blocks of {size} × {size} between two diagonals hold {share}."
    if winner.family == "block_circulant":
        where = "its wrapped diagonals" if size == len(target) else f"those of its {size} × {size} blocks"
        return f"The means along {where} hold {share}{'' if is_far else ': its entries repeat there'}."
    if size == 1:
        return f"Its diagonal holds {share}."
    alone = _share(fit_block_circulant(target, len(target)).error)
    around = "the circulant" if size == 2 else f"{size - 1} circulants"
    return f"A circulant alone holds {alone}, {size} diagonals around {around} hold {share}."


def _share(error: float) -> str:
    percent = 100 * (1 - error**2)
    return "more than 99.9 %" if error > EQUAL_ERROR and percent > 99.9 else f"{percent:.3g} %"


def _percent(error: float) -> str:
    return "no error" if error < 1e-6 else f"{100 * error:.3g} % error"


def _picture(matrix: Tensor, limit: float) -> str:
    """Return entries from -limit to limit as signed bytes, row by row, in base64."""
    levels = (matrix.double() / limit * 127).clamp(-127, 127).round().to(torch.int8)
    return base64.b64encode(levels.contiguous().numpy().tobytes()).decode()
