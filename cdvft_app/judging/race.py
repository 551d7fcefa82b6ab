"""One race or sweep of the history, judged: for the race's own view, Use, and a run's model card."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from cdvft_app.judging import verdict_text
from cdvft_app.judging.comparison_sets import ComparisonSet
from cdvft_app.judging.outcomes import Comparison, Outcome, Point, comparison_set, from_run, points
from cdvft_app.judging.row_scores import RowScores
from cdvft_app.judging.verdict import Verdict
from cdvft_app.store.records import RunRecord

Answers = Callable[[RunRecord], RowScores | None]
"""What a run answered row by row."""


@dataclass(frozen=True)
class JudgedRace:
    """The verdicts on the finished runs of one group; `points` are its settings by their runs' ids."""

    comparison_set: ComparisonSet
    points: Mapping[str, Point]

    def between(self, first: str, second: str) -> Verdict | None:
        """On two runs by their ids; None where these two are not compared with each other."""
        one, other = (self.points[run].label if run in self.points else "" for run in (first, second))
        for verdict in self.comparison_set.between.values():
            if {verdict.first, verdict.second} == {one, other} and one != other:
                return verdict if verdict.first == one else verdict.turned
        return None

    def about(self, run: str) -> list[Verdict]:
        """On the run of that id against each other, from its side."""
        point = self.points.get(run)
        if point is None:
            return []
        pairs = [
            one if one.first == point.label else one.turned for one in self.comparison_set.between.values()
        ]
        return [one for one in pairs if one.first == point.label]

    @property
    def sentences(self) -> list[str]:
        """The verdicts on CDVFT, or on all where it did not take part."""
        keys = {key for pair in self.comparison_set.between for key in pair}
        return verdict_text.sentences(
            self.comparison_set.against("cdvft")
            if "cdvft" in keys
            else list(self.comparison_set.between.values())
        )

    @property
    def advice(self) -> str:
        """What to take of it: the cheapest of those that are not shown to be behind another.

        Empty where of no pair it is known how sure their difference is.
        """
        verdicts = self.comparison_set.between.values()
        met = {label for one in verdicts for label in (one.first, one.second)}  # of each method the best
        placed = [
            point for label, point in {one.label: one for one in self.points.values()}.items() if label in met
        ]
        if not any(one.low is not None for one in verdicts):
            return ""
        behind = {one.first for one in verdicts if one.word == "behind"}
        behind |= {one.second for one in verdicts if one.word == "ahead"}
        left = [point for point in placed if point.label not in behind]
        if not left:  # each is behind another, in a circle
            return ""
        cheapest = min(left, key=_numbers)
        return verdict_text.advice(
            cheapest.label,
            others=[point.label for point in left if point is not cheapest],
            behind=[point.label for point in placed if point.label in behind],
        )


def _numbers(point: Point) -> float:
    """How many numbers it trains besides the head."""
    span = point.amounts.get("parameters")
    return span.mean if span else math.inf


def judged_race(records: Sequence[RunRecord], answers: Answers) -> JudgedRace | None:
    """Of the runs of one group; None unless two of its settings have finished."""
    by_id = {record.id: record for record in records}
    found = [outcome for record in records if (outcome := from_run(record))]
    return judged_outcomes([replace(one, answers=answers(by_id[one.id])) for one in found])


def judged_outcomes(outcomes: Sequence[Outcome]) -> JudgedRace | None:
    """Of outcomes with their answers."""
    placed = points(Comparison(tuple(outcomes)))
    if len(placed) < 2 or len({outcome.metric_name for outcome in outcomes}) > 1:
        return None
    by_run = {outcome.id: point for point in placed for outcome in point.outcomes}
    return JudgedRace(comparison_set(placed), by_run)
