"""What is judged of a race, a sweep or runs of several: the pairs, always all of them together.

Each method meets each other by its best setting; of one method alone its settings meet each other. Of a sweep
the ends of each dimension meet as well, over all else alike. Whoever shows one of these verdicts judges them
all, so that the same runs get the same verdict everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from cdvft_app.judging.judge import Contestant, Pair, Run, judge
from cdvft_app.judging.sweep_labels import value_label
from cdvft_app.judging.sweep_results import (
    SweepRun,
    Value,
    comparable,
    complete_seeds,
    setting_key,
    settings_of,
    varied,
)
from cdvft_app.judging.verdict import Verdict
from cdvft_app.methods import METHODS, ORDER
from cdvft_app.store.family import MOST_SETTINGS, described

Label = Callable[[SweepRun], str]


@dataclass(frozen=True)
class Family:
    """`between` methods, or settings of one; `along` a sweep's dimensions, from their best to their worst."""

    between: Mapping[tuple[str, str], Verdict]
    along: Mapping[tuple[str, str], Verdict]

    def against(self, key: str) -> list[Verdict]:
        """Those in which the method, or the setting by its label, takes part, from its side."""
        return [
            one if first == key else one.turned
            for (first, second), one in self.between.items()
            if key in (first, second)
        ]


def judged(
    runs: Sequence[SweepRun],
    metric_name: str,
    label: Label,
    *,
    sweep: bool = False,
    family: int | None = None,
) -> Family:
    """The verdicts on finished runs that may be compared.

    `family`: how many pairs were to be compared, kept with the race or sweep.
    """
    finished = [run for run in runs if run.metric is not None]
    pairs = _between(finished, label)
    along = _along(runs) if sweep else {}
    verdicts = iter(judge([*pairs.values(), *along.values()], metric_name, family))
    return Family({key: next(verdicts) for key in pairs}, {key: next(verdicts) for key in along})


def _between(runs: Sequence[SweepRun], label: Label) -> dict[tuple[str, str], Pair]:
    by_setting: dict[tuple[object, ...], list[SweepRun]] = {}
    for run in runs:
        by_setting.setdefault(setting_key(run.settings), []).append(run)
    by_method: dict[str, list[Contestant]] = {}
    for own in sorted(by_setting.values(), key=lambda own: ORDER.index(own[0].settings.method.key)):
        by_method.setdefault(own[0].settings.method.key, []).append(_contestant(label(own[0]), own))
    sides = {method: tuple(own) for method, own in by_method.items()}
    if len(sides) == 1:
        (alone,) = sides.values()
        sides = {one.label: (one,) for one in alone} if len(alone) <= MOST_SETTINGS else {}
    return {(one, other): Pair(sides[one], sides[other]) for one, other in combinations(sides, 2)}


def _along(runs: Sequence[SweepRun]) -> dict[tuple[str, str], Pair]:
    found = {}
    settings = complete_seeds(settings_of(runs))
    for method in described([one.method for one in settings]):
        own = [one for one in settings if one.method == method and one.spread]
        for dimension in varied(own):
            values: dict[Value, list[SweepRun]] = {}
            for one in comparable(own, (dimension,)):
                values.setdefault(one.values[dimension], []).extend(
                    run for run in one.runs if run.metric is not None
                )
            ends = tuple(
                _contestant(f"{METHODS[method].title} with {value_label(method, dimension, value)}", ones)
                for value, ones in values.items()
                if ones
            )
            if ends:  # else no seed and no other value is common to all of the dimension's
                found[method, dimension] = Pair(ends, ends, lowest=True)
    return found


def _contestant(label: str, runs: Sequence[SweepRun]) -> Contestant:
    return Contestant(
        label,
        tuple(
            Run(run.settings.seed, run.metric, run.rows, run.answers)
            for run in runs
            if run.metric is not None
        ),
    )
