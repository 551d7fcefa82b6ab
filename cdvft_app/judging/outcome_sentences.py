"""Sentences about finished runs: the Pareto front, CDVFT against each other method, what may be chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from cdvft_app.catalog.entries import SHARES
from cdvft_app.costs.quantities import amount, times
from cdvft_app.costs.sentences import TOLERANCE, joined
from cdvft_app.judging.outcome_points import Point, best, front
from cdvft_app.judging.outcomes import Axis, Outcome
from cdvft_app.judging.paired import SIGNIFICANCE_LEVEL, Paired
from cdvft_app.methods import METHODS

METRICS = {
    "accuracy": "accuracy",
    "matthews": "Matthews correlation",
    "pearson": "Pearson correlation",
    "exact_match": "exact match",
}
RowByRow = Callable[[Outcome, Outcome], Paired | None]
"""The paired test of two runs on the same rows; None where their predictions were not kept."""
_MOST_NAMED = 3


def standard_error(metric_name: str, score: float, examples: int | None) -> float | None:
    """Of a score over `examples` rows, by chance in which rows were asked.

    A share p has sqrt(p (1 − p) / N), a correlation r about (1 − r²) / sqrt(N − 1).
    """
    if not examples or examples < 2:
        return None
    if metric_name in SHARES:
        return math.sqrt(score * (1 - score) / examples)
    return (1 - score**2) / math.sqrt(examples - 1)


def score(metric_name: str, value: float) -> str:
    """79.7 % or 0.812."""
    return f"{100 * value:.1f}\u00a0%" if metric_name in SHARES else f"{value:.3f}"


def difference(metric_name: str, value: float) -> str:
    """1.6 points or 0.012, without a sign."""
    return f"{100 * abs(value):.1f} points" if metric_name in SHARES else f"{abs(value):.3f}"


def tie(one: Point, other: Point, error: float | None, paired: Paired | None = None) -> bool:
    """No difference by the paired test; without one, closer than twice the standard error.

    Over several seeds also where their ranges overlap.
    """
    if paired is not None:
        return not paired.differ
    repeated = len(one.outcomes) > 1 and len(other.outcomes) > 1
    close = error is not None and abs(one.metric.mean - other.metric.mean) < 2 * error
    return close or (repeated and one.metric.overlaps(other.metric))


def row_by_row(one: Point, other: Point, paired: RowByRow) -> Paired | None:
    """The paired test of two settings with one run each on an accuracy; else None."""
    if len(one.outcomes) > 1 or len(other.outcomes) > 1 or one.outcomes[0].metric_name != "accuracy":
        return None
    return paired(one.outcomes[0], other.outcomes[0])


def sentences(placed: Sequence[Point], axis: Axis, paired: RowByRow = lambda one, other: None) -> list[str]:
    """The front on this axis, then each method's best against CDVFT's best, then what is left to chance.

    `paired` compares two runs row by row.
    """
    if not any(point.amounts.get(axis.key) for point in placed):
        return [
            f"No {axis.noun} are known of these runs."
            if axis.kind != "bytes"
            else "Nobody measured the memory of these runs."
        ]
    with_amount = [point for point in placed if point.amounts.get(axis.key)]
    if len(with_amount) == 1:
        return [_only_one(with_amount[0], axis)]
    reference = best(placed, "cdvft") or max(placed, key=lambda point: point.metric.mean)
    name = reference.outcomes[0].metric_name
    error = standard_error(name, reference.metric.mean, reference.outcomes[0].evaluation_examples)
    others = [other for method in METHODS if method != reference.method and (other := best(placed, method))]
    tests = [row_by_row(reference, other, paired) for other in others]
    return [
        _front(placed, axis),
        *(
            _against(reference, other, placed, axis, error=error, paired=test)
            for other, test in zip(others, tests, strict=True)
        ),
        _uncertainty(reference, placed, error, tests),
    ]


def _only_one(point: Point, axis: Axis) -> str:
    return (
        f"{_point_text(point, axis)} is the only setting drawn, and one setting alone cannot be compared. "
        "Train another method on the same data with as many examples and steps, such as by choosing several "
        "methods before Start, and it appears beside this one."
    )


def _front(placed: Sequence[Point], axis: Axis) -> str:
    members = front(placed, axis.key)
    what = METRICS.get(members[0].outcomes[0].metric_name, "score")
    if len(members) == 1:
        return (
            f"{_point_text(members[0], axis)} has the highest {what} with {axis.least}: "
            f"nothing else is on the front.{_cdvft_absent(placed, members)}"
        )
    few = len(members) <= _MOST_NAMED
    texts = [_point_text(member, axis) for member in (members if few else (members[0], members[-1]))]
    who = joined(texts) if few else f"{len(members)} settings, from {texts[0]} to {texts[1]}"
    return (
        f"On the front of {what} against {axis.noun}: {who}. Every other setting is matched or beaten by one "
        f"that needs no more.{_cdvft_absent(placed, members)}"
    )


def _cdvft_absent(placed: Sequence[Point], members: Sequence[Point]) -> str:
    absent = best(placed, "cdvft") and not any(member.method == "cdvft" for member in members)
    return " CDVFT is not on it." if absent else ""


def _point_text(point: Point, axis: Axis) -> str:
    span = point.amounts[axis.key]
    assert span is not None
    reached = score(point.outcomes[0].metric_name, point.metric.mean)
    unit = f" {axis.noun}" if axis.kind == "count" else ""
    needs = f"{amount(axis.kind, span.mean)}{unit}" if span.mean else f"no {axis.noun}"
    return f"{point.label} ({reached}, {needs})"


def _against(
    reference: Point,
    other: Point,
    placed: Sequence[Point],
    axis: Axis,
    *,
    error: float | None,
    paired: Paired | None,
) -> str:
    """LoRA r = 8 reaches 78.1 %, 1.6 points less than CDVFT m = 2, with 5.33 times the parameters …"""
    name = reference.outcomes[0].metric_name
    apart = other.metric.mean - reference.metric.mean
    if tie(reference, other, error, paired):
        result = f"a tie with {reference.label} at {score(name, reference.metric.mean)}"
    else:
        result = f"{difference(name, apart)} {'more' if apart > 0 else 'less'} than {reference.label}"
    if paired:
        alone = f"{paired.second_alone:,} rows that {reference.label} gets wrong"
        result += f" (right on {alone}, wrong on {paired.first_alone:,} that it gets right; {p_text(paired)})"
    keys = dict.fromkeys(["parameters", "seconds", axis.key])
    ratios = [text for key in keys if (text := _ratio(reference, other, key))]
    with_what = f", with {joined(ratios)}" if ratios else ""
    return f"{_best_of(other, placed)} reaches {score(name, other.metric.mean)}, {result}{with_what}."


def _best_of(point: Point, placed: Sequence[Point]) -> str:
    count = sum(other.method == point.method for other in placed)
    return f"{point.label}, the best of {count} settings," if count > 1 else point.label


def _ratio(reference: Point, other: Point, key: str) -> str | None:
    """Its amount as a multiple of the reference's; None where one of them is not known."""
    mine, theirs = reference.amounts.get(key), other.amounts.get(key)
    if mine is None or theirs is None or mine.mean <= 0:
        return None
    noun = {
        "parameters": "parameters",
        "seconds": "training time",
        "flops": "extra FLOPs",
        "memory": "peak memory",
    }[key]
    if theirs.mean == 0:
        return f"no {noun} beside the head's"
    repeated = len(reference.outcomes) > 1 and len(other.outcomes) > 1
    ratio = theirs.mean / mine.mean
    if abs(ratio - 1) < TOLERANCE or (key == "seconds" and repeated and mine.overlaps(theirs)):
        return f"about the same {noun}"
    return f"{times(ratio)} times the {noun}"


def p_text(paired: Paired) -> str:
    """p = 0.31 or p < 0.001."""
    return "p\u00a0<\u00a00.001" if paired.p_value < 0.001 else f"p\u00a0=\u00a0{paired.p_value:.2g}"


def _uncertainty(
    reference: Point, placed: Sequence[Point], error: float | None, tests: Sequence[Paired | None]
) -> str:
    texts = []
    tested = [test for test in tests if test]
    if tested:
        texts.append(
            f"Runs that answered the same {tested[0].rows:,} rows are compared row by row, by the exact "
            f"McNemar test: a difference counts where p is below {SIGNIFICANCE_LEVEL:g}."
        )
    if error is not None and len(tested) < len(tests):
        name, examples = reference.outcomes[0].metric_name, reference.outcomes[0].evaluation_examples
        texts.append(
            f"Over {examples:,} evaluation rows, {score(name, reference.metric.mean)} has a standard error "
            f"of {difference(name, error)}; {'other ' if tested else ''}differences of less than twice that "
            "count as ties."
        )
    repeated = [len(point.outcomes) > 1 for point in placed]
    if not all(repeated):
        texts.append("Settings with one run say nothing about the luck of the seed.")
    if any(repeated):
        texts.append("Bars run from the lowest to the highest seed; where they overlap, that is a tie too.")
    tried = Counter(point.method for point in placed).most_common(2)
    if len(tried) > 1 and tried[0][1] > tried[1][1]:
        most = METHODS[tried[0][0]].title
        texts.append(f"The best of many settings is partly luck; {most} had the most.")
    return " ".join(texts)
