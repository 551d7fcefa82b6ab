"""What was recorded of the methods' scores on runs like the asked one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cdvft_app import catalog
from cdvft_app.catalog.entries import Recipe
from cdvft_app.costs.sentences import joined
from cdvft_app.judging.recorded_races import Verdicts, race_verdicts
from cdvft_app.judging.words import counted
from cdvft_app.methods import METHODS
from cdvft_app.metrics import get_metric


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
        verdicts = {
            pair: verdict
            for pair, verdict in race_verdicts(race.key).items()
            if all(method in raced for method in pair)
        }
        best = _ahead(raced, verdicts)
        ahead.add(best)
        metric = get_metric(catalog.get_dataset(race.dataset).metric)
        scores = joined(
            [f"{METHODS[method].title} has {metric.format(value)}" for method, value in raced.items()]
        )
        said = f"{METHODS[best].title} is ahead" if best else "none is shown to be ahead"
        seeds = min((min(verdict.seeds) for verdict in verdicts.values()), default=0)
        sentences.append(
            f"On {race.title} {scores}; {said}, over {counted(race.evaluation_examples, 'row')} and "
            f"{counted(seeds, 'seed')} of each."
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


def _ahead(methods: Iterable[str], verdicts: Verdicts) -> str | None:
    """The method that is ahead of each other, where the judge speaks of methods; fewer seeds show none."""
    beaten = {
        (first, second) if verdict.word == "ahead" else (second, first)
        for (first, second), verdict in verdicts.items()
        if verdict.about == "methods" and verdict.word in ("ahead", "behind")
    }
    known = set(methods)
    return next((key for key in known if all((key, other) in beaten for other in known - {key})), None)
