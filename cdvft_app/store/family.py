"""How many pairs of a race or sweep are compared: what the judge corrects for, kept with its runs.

It is counted when the runs are asked for, so that a run that fails or is deleted changes no verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

from cdvft_app.settings import RunSettings

MOST_SETTINGS = 4
"""Of one method alone, whose settings are compared in pairs; a larger grid along its dimensions."""


def compared_pairs(runs: Sequence[RunSettings], sweep: bool) -> int:
    """Each method against each other by its best setting, and in a sweep the ends of each dimension.

    The settings of one method alone are compared with each other.
    """
    methods = list(dict.fromkeys(run.method.key for run in runs))
    settings = len({run.method for run in runs})
    between = comb(len(methods), 2) or (comb(settings, 2) if settings <= MOST_SETTINGS else 0)
    return between + (sum(len(varied_sizes(runs, key)) for key in described(methods)) if sweep else 0)


def described(methods: Sequence[str]) -> list[str]:
    """The methods whose dimensions are judged: CDVFT alone where it took part."""
    return ["cdvft"] if "cdvft" in methods else list(methods)


def varied_sizes(runs: Sequence[RunSettings], method: str) -> list[str]:
    """The sizes, and the learning rate, that have several values in the runs of a method."""
    own = [run.method for run in runs if run.method.key == method]
    names = [*own[0].sizes(), "learning_rate"] if own else []
    return [name for name in names if len({getattr(one, name) for one in own}) > 1]
