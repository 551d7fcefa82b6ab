"""The lab: fit a matrix with CDVFT, and with LoRA at no more parameters, with progress and a time limit."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from statistics import median

import numpy as np
import torch
from torch import Tensor

from cdvft_app.approximate import Fit, fit_circulant_diagonal, fit_low_rank
from cdvft_app.payloads import learn as payloads
from cdvft_app.payloads.learn import LabView

SECONDS = 60.0
"""Time limit of one fit. The fits found by then are shown."""
PROGRESS_SECONDS = 0.4
"""Least seconds between two progress messages."""
MAX_M = 5
EXACT = 1e-6
"""Relative errors below this count as zero."""

NO_LOW_RANK = "CDVFT {cdvft}. LoRA needs {least:,} parameters for r = 1."
CLOSER = "{winner} fits better: {first} for {winner_size}, {second} for {other_size}."
EQUAL = "Both fit equally well: {first} for {winner_size} and {other_size}."
UNDECIDED = (
    "Too close to call: {first} for {winner_size}, {second} for {other_size}. A longer search may do better."
)


def fitted(target: Tensor, most_m: int, about: str, seconds: float = SECONDS) -> Iterator[LabView]:
    """Fit m = 1 ... most_m, and after each m the best low rank with no more parameters.

    Args:
        target: (n, n)
        most_m: largest m, from 1 to 5
        about: a sentence on the target, appended to the verdict

    Yields:
        The state of the lab: status, fits so far, pictures (the target and each residual), the verdict at the
        end, and whether the fit is still running.

    Raises:
        ValueError: The target cannot be fitted, or most_m is out of range.
    """
    if most_m not in range(1, MAX_M + 1):
        raise ValueError(f"m is {most_m!r}. Choose a whole number from 1 to {MAX_M}.")
    start, n = time.monotonic(), target.shape[-1]
    limit = float(target.abs().max()) or 1.0
    done: list[Fit] = []
    pictures = {"target": _picture(target, limit)}
    last_shown = 0.0

    def state(status: str, *unfinished: Fit, running: bool = True) -> LabView:
        return {
            "running": running,
            "status": status,
            "sentence": "" if running else f"{verdict(n, done)} {about}",
            "n": n,
            "limit": limit,
            "fits": [_row(fit) for fit in (*done, *unfinished)],
            "pictures": pictures,
        }

    for fit in fit_circulant_diagonal(target, most_m, restarts=2):
        spent = time.monotonic() - start
        late = spent > seconds
        if fit.finished or late:
            rank = min(fit.parameters // (2 * n), n)
            found = [fit, fit_low_rank(target, rank)] if rank else [fit]
            done += found
            residuals = {each.family: _picture(target - each.dense, limit) for each in found}
            pictures = {"target": pictures["target"], **residuals}
        if late:
            yield state(f"Stopped at the limit of {seconds:.0f} s, m = {fit.size}", running=False)
            return
        if fit.finished or spent - last_shown > PROGRESS_SECONDS:
            last_shown = spent
            status = f"Fitting m = {fit.size} of {most_m} · {spent:.0f} s"
            yield state(status) if fit.finished else state(status, fit)
    yield state(f"Done in {time.monotonic() - start:.1f} s", running=False)


def fitted_on_one_thread(target: np.ndarray, most_m: int, about: str) -> Iterator[LabView]:
    """`fitted` for a child process: a second thread slows work on small matrices."""
    torch.set_num_threads(1)
    return fitted(torch.from_numpy(target), most_m, about)


def verdict(n: int, fits: list[Fit]) -> str:
    """Return which method is closer to the target at its largest budget.

    LoRA's fit is its optimum. CDVFT's is the best of a search: it loses only if its error exceeds LoRA's by
    more than the search's median start exceeds its best.
    """
    cdvft = [fit for fit in fits if fit.family == "circulant_diagonal"][-1]
    lora = [fit for fit in fits if fit.family == "low_rank"][-1:]
    sizes = {"circulant_diagonal": "m", "low_rank": "r"}
    if not lora:
        return NO_LOW_RANK.format(cdvft=f"m = {cdvft.size}: {_error(cdvft)}", least=2 * n)
    first, second = sorted((cdvft, lora[0]), key=lambda fit: fit.error)
    words = {
        "winner": "CDVFT" if first is cdvft else "LoRA",
        "first": _error(first),
        "second": _error(second),
        "winner_size": f"{sizes[first.family]} = {first.size} ({first.parameters:,} parameters)",
        "other_size": f"{sizes[second.family]} = {second.size} ({second.parameters:,} parameters)",
    }
    gap, starts = second.error - first.error, cdvft.restarts
    if gap < EXACT:
        return EQUAL.format(**words)
    undecided = second is cdvft and starts and gap <= median(starts) - cdvft.error
    return (UNDECIDED if undecided else CLOSER).format(**words)


def _row(fit: Fit) -> payloads.Fit:
    spread = [fit.restarts[0], median(fit.restarts), fit.restarts[-1]] if fit.restarts else []
    return {
        "family": fit.family,
        "size": fit.size,
        "parameters": fit.parameters,
        "error": fit.error,
        "spread": spread,
    }


def _error(fit: Fit) -> str:
    return "exact" if fit.error < EXACT else f"{100 * fit.error:.3g}% relative error"


def _picture(matrix: Tensor, limit: float) -> str:
    """Return entries from -limit to limit as signed bytes, row by row, in base64."""
    levels = (matrix.double() / limit * 127).clamp(-127, 127).round().to(torch.int8)
    return base64.b64encode(levels.contiguous().numpy().tobytes()).decode()
