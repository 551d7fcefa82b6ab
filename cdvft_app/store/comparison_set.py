"""How many pairs of a race or sweep are compared: what the judge corrects for, kept with its runs.

It is counted when the runs are asked for, so that a run that fails or is deleted changes no verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

from cdvft_app.settings import RunSettings

RATE = "learning_rate"
MAX_SETTINGS = 4
"""Of one method alone, whose settings are compared in pairs; a larger grid along its dimensions."""


def compared_pairs(runs: Sequence[RunSettings], sweep: bool) -> int:
    """Each method against each other by its best setting, and in a sweep the values of each dimension.

    Of learning rates only neighbours are compared. The settings of one method alone are compared with each
    other.
    """
    methods = list(dict.fromkeys(run.method.key for run in runs))
    settings = len({run.method for run in runs})
    between = comb(len(methods), 2) or (comb(settings, 2) if settings <= MAX_SETTINGS else 0)
    return between + (sum(_along(runs, key) for key in described(methods)) if sweep else 0)


def described(methods: Sequence[str]) -> list[str]:
    """The methods whose dimensions are judged: CDVFT alone where it took part."""
    return ["cdvft"] if "cdvft" in methods else list(methods)


def _along(runs: Sequence[RunSettings], method: str) -> int:
    """The pairs of values of a method's sizes, and of neighbouring learning rates."""
    own = [run.method for run in runs if run.method.key == method]
    counts = {
        name: len({getattr(one, name) for one in own}) for name in ([*own[0].sizes(), RATE] if own else [])
    }
    return sum(count - 1 if name == RATE else comb(count, 2) for name, count in counts.items())
