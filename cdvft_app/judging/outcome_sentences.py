"""Finished runs in sentences: the Pareto front on one axis, and the judge's verdicts on CDVFT or the best."""

from __future__ import annotations

from collections.abc import Sequence

from cdvft_app.costs.quantities import amount
from cdvft_app.costs.sentences import joined
from cdvft_app.judging import words
from cdvft_app.judging.families import Family, judged
from cdvft_app.judging.outcome_points import Point, front
from cdvft_app.judging.outcomes import Axis, judged_run
from cdvft_app.metrics import METRICS, get_metric

_MAX_NAMED = 3


def family_of(placed: Sequence[Point]) -> Family:
    """The verdicts on all runs that are drawn together; of one race or sweep alone, those of its family."""
    outcomes = [outcome for point in placed for outcome in point.outcomes]
    labels = {id(outcome.settings): point.label for point in placed for outcome in point.outcomes}
    whole = len({outcome.group_id for outcome in outcomes}) == 1
    return judged(
        [judged_run(outcome) for outcome in outcomes],
        outcomes[0].metric_name,
        lambda run: labels[id(run.settings)],
        sweep=whole and outcomes[0].sweep,
        family=outcomes[0].family if whole else None,
    )


def sentences(placed: Sequence[Point], axis: Axis, family: Family) -> list[str]:
    """The front on this axis, then the verdicts on CDVFT, or on the method with the highest score."""
    drawn = [point for point in placed if point.amounts.get(axis.key)]
    if len(drawn) < 2:
        key = "one setting" if drawn else "nothing measured" if axis.kind == "bytes" else "nothing known"
        return [
            words.SENTENCES[key].format(noun=axis.noun, who="".join(_text(point, axis) for point in drawn))
        ]
    highest = max(placed, key=lambda point: point.metric.mean)
    keys = [key for pair in family.between for key in pair]
    reference = next((key for key in ("cdvft", highest.method, highest.label) if key in keys), "")
    return [_front(drawn, axis), *words.sentences(family.against(reference))]


def _front(placed: Sequence[Point], axis: Axis) -> str:
    members = front(placed, axis.key)
    metric_name = members[0].outcomes[0].metric_name
    what = METRICS[metric_name].title if metric_name in METRICS else "score"
    few = len(members) <= _MAX_NAMED
    texts = [_text(member, axis) for member in members]
    key = "front of one" if len(members) == 1 else "front" if few else "long front"
    return words.SENTENCES[key].format(
        what=what,
        noun=axis.noun,
        least=axis.least,
        who=joined(texts),
        settings=words.counted(len(members), "setting"),
        first=texts[0],
        last=texts[-1],
    )


def _text(point: Point, axis: Axis) -> str:
    span = point.amounts[axis.key]
    assert span is not None
    reached = get_metric(point.outcomes[0].metric_name).format(point.metric.mean)
    unit = f" {axis.noun}" if axis.kind == "count" else ""
    needs = f"{amount(axis.kind, span.mean)}{unit}" if span.mean else f"no {axis.noun}"
    return f"{point.label} ({reached}, {needs})"
