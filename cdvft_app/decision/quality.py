"""What was recorded of the methods' scores on runs like the asked one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from cdvft_app import catalog
from cdvft_app.catalog.entries import Recipe
from cdvft_app.costs.sentences import joined
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
        best = max(raced, key=raced.__getitem__)
        typical = mean(raced.values())
        chance = 2 * math.sqrt(2 * typical * (1 - typical) / race.evaluation_examples)
        second = sorted(raced.values())[-2]
        ahead.add(best if raced[best] - second > chance else None)
        sentences.append(
            f"On {race.title} {joined([_score(method, score) for method, score in raced.items()])}; the rows "
            f"asked explain gaps up to {100 * chance:.1f} points."
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


def _score(method: str, score: float) -> str:
    return f"{METHODS[method].title} has {100 * score:.1f} %"
