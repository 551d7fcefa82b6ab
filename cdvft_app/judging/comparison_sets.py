"""What is judged of a race, a sweep or runs of several: the pairs, always all of them together.

Each method meets each other by its best setting; of one method alone its settings meet each other. Of a sweep
the values of each dimension meet as well, each at its own best of the other dimensions. Whoever shows one of
these verdicts judges them all, so that the same runs get the same verdict everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from cdvft_app.format import joined
from cdvft_app.judging import verdict_text
from cdvft_app.judging.compared_runs import (
    RATES,
    ComparedRun,
    Configuration,
    Value,
    ascending,
    best,
    comparable,
    complete_seeds,
    configuration_key,
    configuration_label,
    configurations_of,
    contestant,
    value_label,
    varied,
)
from cdvft_app.judging.judge import Contestant, Pair, Verdict, judge
from cdvft_app.methods import METHODS, ORDER
from cdvft_app.store.records import MAX_COMPARED_SETTINGS, described

Label = Callable[[ComparedRun], str]


@dataclass(frozen=True)
class ComparisonSet:
    """`between` methods, or settings of one; `along` a sweep's dimensions: by method, dimension, two values.

    `edges`: values of a method's dimensions whose best learning rate is the lowest or highest that was tried.
    """

    between: Mapping[tuple[str, str], Verdict]
    along: Mapping[tuple[str, str, str], Verdict]
    edges: Sequence[str] = ()

    def against(self, side: str) -> list[Verdict]:
        """Return the verdicts in which a method, or the setting of this label, takes part, turned to its
        side."""
        return [
            one if side in (first, one.first) else one.turned
            for (first, second), one in self.between.items()
            if side in (first, second, one.first, one.second)
        ]

    @property
    def shown(self) -> list[Verdict]:
        """The verdicts between CDVFT and other methods, from its side; all where it did not take part."""
        return self.against("cdvft") or list(self.between.values())


def judge_runs(
    runs: Sequence[ComparedRun],
    metric_name: str,
    label: Label,
    *,
    sweep: bool = False,
    family: int | None = None,
) -> ComparisonSet:
    """Return the verdicts on finished runs that may be compared.

    `family`: how many pairs were to be compared, kept with the race or sweep.
    """
    finished = [run for run in runs if run.metric is not None]
    pairs = pairs_between(finished, label)
    along = _along(runs) if sweep else {}
    verdicts = iter(judge([*pairs.values(), *along.values()], metric_name, family))
    edges = dict.fromkeys(
        value
        for method, dimension in dict.fromkeys(key[:2] for key in along)
        for value in at_the_edge(runs, method, dimension)
    )
    found = {key: next(verdicts) for key in pairs}
    values = {key: next(verdicts) for key in along}
    return ComparisonSet(
        found,
        {key: one.turned if one.word == "behind" else one for key, one in values.items()},
        tuple(edges),
    )


def pairs_between(runs: Sequence[ComparedRun], label: Label) -> dict[tuple[str, str], Pair]:
    """Return the methods of finished runs, each with each other, or the settings of one."""
    by_configuration: dict[tuple[object, ...], list[ComparedRun]] = {}
    for run in runs:
        by_configuration.setdefault(configuration_key(run.settings), []).append(run)
    by_method: dict[str, list[Contestant]] = {}
    for own in sorted(by_configuration.values(), key=lambda own: ORDER.index(own[0].settings.method.key)):
        by_method.setdefault(own[0].settings.method.key, []).append(contestant(label(own[0]), own))
    sides = {method: tuple(own) for method, own in by_method.items()}
    if len(sides) == 1:
        (alone,) = sides.values()
        sides = {one.label: (one,) for one in alone} if len(alone) <= MAX_COMPARED_SETTINGS else {}
    return {(one, other): Pair(sides[one], sides[other]) for one, other in combinations(sides, 2)}


def _along(runs: Sequence[ComparedRun]) -> dict[tuple[str, str, str], Pair]:
    """Return the pairs of values of each dimension, each at its own best of the other dimensions.

    Of learning rates only neighbours meet: the sentence is of what a wrong rate costs. Averages over the
    other dimensions are never judged: among them are rates at which one value diverges and another does not.
    """
    found = {}
    configurations = complete_seeds(configurations_of(runs))
    for method in described([one.method for one in configurations]):
        own = [one for one in configurations if one.method == method and one.spread]
        for dimension in varied(own):
            sides: dict[Value, list[Contestant]] = {}
            for one in comparable(own, (dimension,)):
                value = one.values[dimension]
                name = f"{METHODS[method].title} with {value_label(method, dimension, value)}"
                side = contestant(name, one.runs)
                if side.runs:  # else no seed and no other value is common to all of the dimension's
                    sides.setdefault(value, []).append(side)
            for low, high in pairwise(sides) if dimension == RATES else combinations(sides, 2):
                found[method, dimension, f"{low} {high}"] = Pair(tuple(sides[low]), tuple(sides[high]))
    return found


def at_the_edge(runs: Sequence[ComparedRun], method: str, dimension: str) -> list[str]:
    """The values of a dimension whose best learning rate is the lowest or the highest that was tried."""
    own = [one for one in configurations_of(runs) if one.method == method and one.spread]
    dimensions = varied(own)
    if dimension not in dimensions or RATES not in dimensions or dimension == RATES:
        return []
    found = []
    for value in dimensions[dimension]:
        of_value = [one for one in own if one.values[dimension] == value]
        rates = ascending({one.values[RATES] for one in of_value})
        winner = best(of_value)
        if winner and len(rates) > 1 and winner.values[RATES] in (rates[0], rates[-1]):
            rate = value_label(method, RATES, winner.values[RATES])
            found.append(f"{value_label(method, dimension, value)} ({rate})")
    return found


_MAX_NAMED = 4
_CDVFT_WITH = "CDVFT with "
"""Begins the name of each of its settings in a verdict; see `configuration_label`."""


def judge_sweep(runs: Sequence[ComparedRun], metric_name: str, family: int | None = None) -> ComparisonSet:
    """The verdicts on a sweep's runs, of seeds that have all ended; `family` as it is kept with them."""
    whole = [run for one in complete_seeds(configurations_of(runs)) for run in one.runs]
    return judge_runs(
        whole,
        metric_name,
        lambda run: configuration_label(configurations_of([run])[0]),
        sweep=True,
        family=family,
    )


def answer(compared: ComparisonSet) -> str:
    """Return one sentence on which of CDVFT's settings are shown to matter; empty where none was varied."""
    along = {key: one for key, one in compared.along.items() if key[0] == "cdvft"}
    decided = {key: one for key, one in along.items() if one.word in ("ahead", "behind")}
    if not decided:
        return verdict_text.SENTENCES["no setting"] if along else ""
    sizes = _listed([one for (_, name, _), one in decided.items() if name != RATES])
    rates = _listed([one for (_, name, _), one in decided.items() if name == RATES])
    said = [f"CDVFT, each value at its own best: {sizes}"] if sizes else []
    return " ".join(said + ([verdict_text.SENTENCES["rate"].format(verdicts=rates)] if rates else []))


def _listed(verdicts: Sequence[Verdict]) -> str:
    parts = (verdict_text.result(one).removesuffix(".").replace(_CDVFT_WITH, "") for one in verdicts)
    return "; ".join(parts) + "." if verdicts else ""


def sentences(configurations: Sequence[Configuration], compared: ComparisonSet) -> list[str]:
    """Return the verdicts on CDVFT, or all where it did not take part; none before two have ended."""
    failed = [configuration_label(one) for one in configurations if one.failed]
    texts = verdict_text.sentences([*compared.shown, *compared.along.values()])
    if compared.edges:
        texts.append(verdict_text.SENTENCES["edge"].format(settings=joined(compared.edges)))
    if failed:
        more = [f"{len(failed) - _MAX_NAMED:,} more"] if len(failed) > _MAX_NAMED else []
        texts.append(verdict_text.SENTENCES["failed"].format(settings=joined([*failed[:_MAX_NAMED], *more])))
    return texts
