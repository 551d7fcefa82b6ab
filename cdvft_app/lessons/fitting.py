"""One visitor's fit of a matrix: all families at growing budgets, with progress, within a time limit."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from cdvft.approximate import Fit, fit_circulant_diagonal, fit_rivals

SECONDS = 60.0
"""Longest time that one fit may take; what was found by then is shown."""
EVERY = 0.4
"""Least seconds between two pieces of progress."""
MOST_M = 5
NAMES = {
    "circulant_diagonal": "circulant-diagonal factors",
    "low_rank": "low rank",
    "fourier": "chosen Fourier entries",
    "fourierft": "random Fourier entries",
    "block_circulant": "circulant blocks",
}


def fitted(target: Tensor, most_m: int, about: str, seconds: float = SECONDS) -> Iterator[dict[str, Any]]:
    """Fit m = 1 ... most_m factors and, after each m, the other families with no more numbers.

    Args:
        target: (n, n)
        most_m: largest m, from 1 to 5
        about: a sentence on the target, which ends what is said at the end

    Yields:
        what the lab shows: status, fits so far, pictures (of the target and of what each family leaves),
        sentence (at the end), and whether it goes on

    Raises:
        ValueError: if the target cannot be fitted, or most_m is out of range.
    """
    if most_m not in range(1, MOST_M + 1):
        raise ValueError(f"m is {most_m!r}; whole numbers from 1 to {MOST_M} go.")
    start, n = time.monotonic(), target.shape[-1]
    limit = float(target.abs().max()) or 1.0
    done: list[Fit] = []
    best, shown = None, 0.0
    pictures = {"target": _picture(target, limit)}

    def state(status: str, running: bool, sentence: str = "") -> dict[str, Any]:
        fits = [*done, best] if best else done
        return {
            "running": running,
            "status": status,
            "sentence": sentence,
            "n": n,
            "limit": limit,
            "fits": [
                {"family": f.family, "size": f.size, "parameters": f.parameters, "error": f.error}
                for f in fits
            ],
            "pictures": pictures,
        }

    for fit in fit_circulant_diagonal(target, most_m, restarts=2):
        spent = time.monotonic() - start
        best = fit
        late = spent > seconds
        if fit.finished or late:
            rivals = fit_rivals(target, fit.parameters)
            done += [fit, *rivals]
            best = None
            pictures = {"target": pictures["target"]} | {
                each.family: _picture(target - each.dense, limit) for each in (fit, *rivals)
            }
        if late:
            yield state(
                f"Stopped after {spent:.0f} s, the limit, at m = {fit.size}", False, verdict(done, about)
            )
            return
        if fit.finished or spent - shown > EVERY:
            shown = spent
            yield state(f"Fitting m = {fit.size} of {most_m} · {spent:.0f} s", True)
    yield state(f"Done in {time.monotonic() - start:.1f} s", False, verdict(done, about))


def verdict(fits: list[Fit], about: str) -> str:
    """Who came closest at the largest budget, by how much, and what kind of matrix it was."""
    budget = max(fit.parameters for fit in fits if fit.family == "circulant_diagonal")
    last = {fit.family: fit for fit in fits if fit.parameters <= budget}
    ours = last["circulant_diagonal"]
    rivals = sorted((fit for fit in last.values() if fit is not ours), key=lambda fit: fit.error)
    intro = f"With at most {budget:,} numbers, "
    said = f"{_percent(ours.error)} for m = {ours.size} circulant-diagonal factors"
    if not rivals:
        return f"{intro}only circulant-diagonal factors are small enough: {said}. {about}"
    rival = rivals[0]
    theirs = f"{_percent(rival.error)} for {NAMES[rival.family]}"
    if abs(rival.error - ours.error) < 1e-6:
        return f"{intro}two come equally close: {said}, {theirs}. {about}"
    if ours.error < rival.error:
        return f"{intro}circulant-diagonal factors come closest: {said}, against {theirs}. {about}"
    return f"{intro}{NAMES[rival.family]} win: {theirs}, against {said}. {about}".replace(
        "rank win:", "rank wins:"
    )


def _percent(error: float) -> str:
    return "no error" if error < 1e-6 else f"{100 * error:.3g} % error"


def _picture(matrix: Tensor, limit: float) -> str:
    """Entries from -limit to limit as signed bytes, row by row, in base64."""
    levels = (matrix.double() / limit * 127).clamp(-127, 127).round().to(torch.int8)
    return base64.b64encode(levels.contiguous().numpy().tobytes()).decode()
