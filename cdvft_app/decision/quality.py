"""What was recorded of the methods' scores on runs like the asked one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from cdvft_app import catalog
from cdvft_app.catalog.entries import Recipe
from cdvft_app.costs.sentences import joined
from cdvft_app.judging.judge import Contestant, Pair, Run, judge
from cdvft_app.judging.score_text import score
from cdvft_app.judging.words import counted
from cdvft_app.methods import METHODS


@dataclass(frozen=True)
class Quality:
    """`ahead`: the method that is, None where none is shown to be; `clause` says so, `sentences` why.

    `raced`: the methods that anything was recorded of.
    """

    ahead: str | None
    raced: frozenset[str]
    clause: str
    sentences: list[str]


def quality(kind: str, methods: Sequence[str]) -> Quality:
    """Of the recorded races with models of this kind, between these adapters."""
    races = [race for race in _races(kind) if sum(method in race.expected.metric for method in methods) > 1]
    if not races:
        text = f"No race of {_OF_KIND[kind]} with these methods is recorded: compare on your own task."
        return Quality(None, frozenset(), "no runs like it are recorded", [text])
    sentences, ahead = [], set()
    for race in races:
        raced = {method: race.expected.metric[method] for method in methods if method in race.expected.metric}
        metric = catalog.get_dataset(race.dataset).metric
        best = _ahead(raced, metric, race.evaluation_examples)
        ahead.add(best)
        scores = joined(
            [f"{METHODS[method].title} has {score(metric, value)}" for method, value in raced.items()]
        )
        verdict = f"{METHODS[best].title} is ahead" if best else "none is shown to be ahead"
        sentences.append(
            f"On {race.title} {scores}; {verdict}, over {counted(race.evaluation_examples, 'row')}."
        )
    absent = [
        METHODS[method].title
        for method in methods
        if not any(method in race.expected.metric for race in races)
    ]
    if absent:
        sentences.append(f"{joined(absent)} did not take part.")
    winner = ahead.pop() if len(ahead) == 1 else None
    if winner:
        return Quality(winner, frozenset(raced), "it is ahead on recorded runs like it", sentences)
    return Quality(None, frozenset(raced), "none is shown to be better on recorded runs like it", sentences)


_OF_KIND = {"text": "text models", "image": "image models", "generation": "models that write"}


def _races(kind: str) -> list[Recipe]:
    races = [race for race in catalog.recipes().values() if race.kind == kind]
    return [race for race in races if len(race.expected.metric) > 1]


def _ahead(scores: Mapping[str, float], metric: str, rows: int) -> str | None:
    """The method that the judge calls ahead of each other; of scores alone, for a recipe keeps no rows."""
    sides = {key: Contestant(key, (Run(0, value, rows),)) for key, value in scores.items()}
    verdicts = judge([Pair((sides[one],), (sides[other],)) for one, other in combinations(sides, 2)], metric)
    won = Counter(
        one.first if one.word == "ahead" else one.second
        for one in verdicts
        if one.word in ("ahead", "behind")
    )
    return next((key for key in sides if won[key] == len(sides) - 1), None)
