"""What recorded races say of the methods' quality on a question like theirs: who is behind, how surely."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cdvft_app import catalog
from cdvft_app.catalog.entries import Recipe
from cdvft_app.costs.quantities import Row, times
from cdvft_app.costs.sentences import joined
from cdvft_app.judging.recorded_races import Verdicts, pooled_verdicts, race_verdicts, raced_recipes
from cdvft_app.judging.verdict import Verdict
from cdvft_app.judging.verdict_text import counted, result
from cdvft_app.methods import METHODS
from cdvft_app.metrics import get_metric
from cdvft_app.shapes import ModelShapes

_OF_KIND = {"text": "text models", "image": "image models", "generation": "models that write"}
_MUCH_LARGER = 3.0
"""From so many times the raced model's weights on it is said that the question is about a larger one."""


@dataclass(frozen=True)
class Loss:
    """That a method is behind the `winner`; `verdict` is from the loser's side, `where` a race or several."""

    winner: str
    verdict: Verdict
    where: str


@dataclass(frozen=True)
class Quality:
    """What recorded races with models of one kind say of the methods that are asked about.

    `races`: how many there are. `pooled`: the verdicts over all of them. `behind`: the methods that another
    one is shown to be ahead of, and where. `lost`: of every method that was raced with a model of whatever
    kind, in how many races it was behind another. `sentences`: all of it.
    """

    races: int
    pooled: Verdicts
    behind: dict[str, list[Loss]]
    lost: dict[str, int]
    sentences: list[str]

    @property
    def raced(self) -> set[str]:
        return {method for pair in self.pooled for method in pair}

    @property
    def where(self) -> str:
        """In 2 recorded races like it."""
        return f"in {self.races} recorded races like it" if self.races > 1 else "in the recorded race like it"

    def between(self, first: str, second: str) -> Verdict:
        """The pooled verdict on two raced methods, from the first one's side."""
        found = self.pooled.get((first, second))
        return found or self.pooled[second, first].turned

    def loss(self, method: str, winner: str | None = None) -> Loss | None:
        """One that the method had, to the given winner where there is such; None where it had none."""
        found = self.behind.get(method, [])
        return next((one for one in found if one.winner == winner), found[0] if found else None)

    def possible_loss(self, method: str, others: Iterable[str]) -> tuple[float, str | None]:
        """How far it may be behind one of the others at most by the intervals, and behind which; 0: none."""
        found = [(-(self.between(method, other).low or 0.0), other) for other in others if other != method]
        most = max(found, default=(0.0, None))
        return most if most[0] > 0 else (0.0, None)

    def safest(self, rows: Sequence[Row]) -> Row:
        """The row to take where the file does not matter.

        Of raced methods the one that may lose least by the intervals. Where no such race is recorded, one
        that was raced with other models and lost to none; else the one that trains the most numbers.
        """
        raced = [row for row in rows if row["method"] in self.raced]
        if raced:
            keys = [row["method"] for row in raced]
            return min(raced, key=lambda row: self.possible_loss(row["method"], keys)[0])
        unbeaten = [row for row in rows if self.lost.get(row["method"]) == 0] or rows
        return max(unbeaten, key=lambda row: row["trainable_parameters"])


def quality(shapes: ModelShapes, methods: Sequence[str]) -> Quality:
    """Of the recorded races with models of the same kind as this one, between these adapters."""
    races = [one for one in _raced() if one.kind == shapes.kind and len(_taking_part(one, methods)) > 1]
    lost = _lost(_raced())
    if not races:
        text = (
            f"No race of {_OF_KIND[shapes.kind]} between these methods is recorded: compare on your own task."
        )
        return Quality(0, {}, {}, lost, [text])
    pooled = {
        pair: one for found in pooled_verdicts(shapes.kind) for pair, one in _between(found, methods).items()
    }
    own = [_between(race_verdicts(race.key), methods) for race in races]
    together = {f"over {len(races)} races": pooled} if len(races) > 1 else {}
    behind = _behind({**together, **{f"on {race.title}": one for race, one in zip(races, own, strict=True)}})
    sentences = [_sentence(race, verdicts, methods) for race, verdicts in zip(races, own, strict=True)]
    if len(races) > 1:
        sentences.append(f"Over {_titles(races)} together: {' '.join(map(result, pooled.values()))}")
    sentences += _limits(races, shapes, methods)
    return Quality(len(races), pooled, behind, lost, sentences)


def _raced() -> list[Recipe]:
    return [catalog.recipes()[key] for key in raced_recipes()]


def _taking_part(race: Recipe, methods: Sequence[str]) -> list[str]:
    return [method for method in methods if method in race.expected.metric]


def _between(verdicts: Verdicts, methods: Sequence[str]) -> Verdicts:
    return {pair: one for pair, one in verdicts.items() if set(pair) <= set(methods)}


def _shown(verdicts: Verdicts) -> list[tuple[str, str, Verdict]]:
    """Of each pair of which the judge calls one method ahead: who is behind whom, from the loser's side."""
    return [
        (first, second, one) if one.word == "behind" else (second, first, one.turned)
        for (first, second), one in verdicts.items()
        if one.about == "methods" and one.word in ("ahead", "behind")
    ]


def _behind(verdicts: Mapping[str, Verdicts]) -> dict[str, list[Loss]]:
    """The methods that are behind another somewhere and ahead of it nowhere, in the order of the verdicts."""
    shown = [(where, *one) for where, found in verdicts.items() for one in _shown(found)]
    pairs = {(loser, winner) for _, loser, winner, _ in shown}
    found: dict[str, list[Loss]] = {}
    for where, loser, winner, verdict in shown:
        if (winner, loser) not in pairs:
            found.setdefault(loser, []).append(Loss(winner, verdict, where))
    return found


def _lost(races: Iterable[Recipe]) -> dict[str, int]:
    lost: dict[str, int] = {}
    for race in races:
        losers = {loser for loser, _, _ in _shown(race_verdicts(race.key))}
        for method in race.expected.metric:
            lost[method] = lost.get(method, 0) + (method in losers)
    return lost


def _sentence(race: Recipe, verdicts: Verdicts, methods: Sequence[str]) -> str:
    metric = get_metric(catalog.get_dataset(race.dataset).metric)
    scores = joined(
        [
            f"{METHODS[method].title} has {metric.format(race.expected.metric[method])}"
            for method in _taking_part(race, methods)
        ]
    )
    shown = [verdict.turned for _, _, verdict in _shown(verdicts)]
    said = " ".join(map(result, shown)) or "None is shown to be ahead."
    seeds = min(min(one.seeds) for one in verdicts.values())
    over = f"{counted(race.evaluation_examples, 'row')} and {counted(seeds, 'seed')} of each"
    return f"On {race.title} {scores}, over {over}. {said}"


def _titles(races: Sequence[Recipe]) -> str:
    return joined([race.title for race in races])


def _limits(races: Sequence[Recipe], shapes: ModelShapes, methods: Sequence[str]) -> list[str]:
    """What the races say nothing of: larger models, and methods that took no part."""
    found = []
    models = {race.model: catalog.models()[race.model] for race in races}
    largest = max(models.values(), key=lambda one: one.parameters or 0)
    ratio = shapes.total_parameters / (largest.parameters or shapes.total_parameters)
    if ratio > _MUCH_LARGER:
        found.append(
            f"These races are of {joined([one.title for one in models.values()])}; this model has "
            f"{times(round(ratio))} times its weights, and no race of one so large is recorded."
        )
    absent = [
        METHODS[method].title for method in methods if not any(method in one.expected.metric for one in races)
    ]
    return [*found, f"{joined(absent)} did not take part."] if absent else found
