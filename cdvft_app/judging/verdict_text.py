"""The judge's sentences, in one table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from cdvft_app.format import counted, joined
from cdvft_app.judging.judge import MARGIN, METHODS_FROM, Verdict
from cdvft_app.metrics import get_metric

SENTENCES = {
    "ahead": "{first} is ahead of {second} by {size} ({low} to {high}).",
    "behind": "{first} is behind {second} by {size} ({low} to {high}).",
    "as good": "{first} is as good as {second} within {margin} ({low} to {high}).",
    "not shown": "No difference is shown: {first} has {size} {more} than {second} ({low} to {high}).",
    "level": "No difference is shown: {first} and {second} score about the same ({low} to {high}).",
    "unknown": "No difference is shown: {first} has {size} {more} than {second}, "
    "and how sure that is cannot be told.",
    "unknown level": "No difference is shown: {first} and {second} score about the same, "
    "and how sure that is cannot be told.",
    "runs": "Runs of {first_seeds} and {second_seeds} are compared, not methods: for methods it takes "
    "{methods} of each.",
    "one seed": "Runs of {first_seeds} and {second_seeds} are compared, not methods: with one seed "
    "nothing is known of chance in training. For methods it takes {methods} of each.",
    "methods": "Over {first_seeds} and {second_seeds}, seeds and rows together.",
    "same rows": "Compared row by row over {rows}",
    "own rows": "No answers were kept row by row, so each score errs for itself, over {rows}",
    "interval": "{where}; the brackets hold the difference with {least}{confidence} confidence{family}.",
    "family": ", each for itself; {pairs} are corrected together",
    "all": "The best of several settings is judged on the rows it is chosen by, so all pairs of them count.",
    "front of one": "{who} has the highest {what} with {least}.",
    "front": "On the front of {what} against {noun}: {who}.",
    "long front": "On the front of {what} against {noun}: {settings}, from {first} to {last}.",
    "one setting": "{who} is the only setting drawn. Train another method on the same data to compare.",
    "nothing known": "No {noun} are known of these runs.",
    "nothing measured": "Nobody measured the memory of these runs.",
    "rate": "The rate must be found: {verdicts}",
    "searched rates": "The race trains at the recipe's rates. Trained anew, each at the best rate on "
    "validation rows (python -m benchmarks.equal_numbers): {verdicts}",
    "edge": "At the edge of the learning rates that were tried lies the best of {settings}: a rate beyond it "
    "may be better.",
    "no setting": "No value of a setting of CDVFT is shown to be better than another.",
    "failed": "Left out, because a run failed: {settings}.",
    "take enough": "Take {who}: {why}, and no {kind} is shown to be better; one may be, by up to {most}.",
    "take any": "Take {who}: {why}, and no {kind} is shown to be better; how sure that is cannot be told of "
    "all.",
    "take left": "Take {who}: {behind} {are} behind, and of the others {why}.",
    "take only": "Take {who}: {behind} {are} behind.",
    "fewest": "it trains the fewest numbers",
    "as few": "of those that train the fewest numbers none scores higher",
    "as few of the others": "that train the fewest numbers none scores higher",
}

BY_RUNS = "depending on the runs"
_MAX_NAMED = 3


def depends_on_runs(raced: Verdict, searched: Verdict | None) -> bool:
    """Return whether a race at the recipe's rates and the same pair at searched rates tell different things.

    `searched` is None where nobody trained the pair anew.
    """
    return searched is not None and searched.word != raced.word


def at_searched_rates(searched: Iterable[Verdict]) -> str:
    """Return sentences on pairs of a race that were trained anew at searched rates; empty without any."""
    verdicts = " ".join(map(result, searched))
    return SENTENCES["searched rates"].format(verdicts=verdicts) if verdicts else ""


def result(verdict: Verdict) -> str:
    """Return a sentence on who is ahead and by how much; the interval is of the difference that it names."""
    metric, key = get_metric(verdict.metric_name), verdict.word
    is_level = key == "not shown" and float(metric.format_difference(abs(verdict.size))) == 0
    stated = verdict if verdict.size >= 0 or is_level or key == "as good" else verdict.turned
    known = stated.low is not None and stated.high is not None
    told = ("level" if is_level else key) if known else ("unknown level" if is_level else "unknown")
    return SENTENCES[told].format(
        first=verdict.first,
        second=verdict.second,
        **_numbers(verdict.size, stated),
    )


def _numbers(size: float, stated: Verdict) -> dict[str, str]:
    """Return the words for a difference and its interval that are filled into `SENTENCES`."""
    metric = get_metric(stated.metric_name)
    return {
        "size": metric.format_distance(size),
        "margin": metric.format_distance(MARGIN).replace("1.0", "1"),
        "more": "more" if size >= 0 else "less",
        "low": metric.format_difference(stated.low or 0.0),
        "high": metric.format_difference(stated.high or 0.0),
    }


def basis(verdict: Verdict, least: float | None = None) -> list[str]:
    """Sentences on what a verdict rests on: runs or methods, the rows, the family of pairs, and the choice.

    `least`: the least confidence of several verdicts, said in place of its own.
    """
    first_seeds, second_seeds = (counted(count, "seed") for count in verdict.seeds)
    about = SENTENCES["one seed" if min(verdict.seeds) == 1 else verdict.about].format(
        methods=counted(METHODS_FROM, "seed"),
        first_seeds=first_seeds,
        second_seeds=second_seeds,
    )
    where = SENTENCES["same rows" if verdict.paired else "own rows"].format(
        rows=counted(verdict.rows or 0, "row")
    )
    family = SENTENCES["family"].format(pairs=counted(verdict.family, "pair")) if verdict.family > 1 else ""
    error = 100 * (1 - (least or verdict.confidence))
    kept = round(error, 1 - math.floor(math.log10(error)))  # never 100 %, of however many pairs
    confidence = f"{100 - kept:g}\u00a0%"
    interval = SENTENCES["interval"].format(
        where=where, least="at least " if least else "", confidence=confidence, family=family
    )
    known = [] if verdict.low is None else [interval]
    return [about, *known, *([SENTENCES[verdict.chosen]] if verdict.chosen else [])]


def advice(
    taken: str, others: Sequence[str], behind: Sequence[str], most: str | None, *, as_few: bool, alike: bool
) -> str:
    """Return a sentence that names the method with the fewest trained numbers of those that are not behind.

    Args:
        taken: its setting.
        others: that are not behind either.
        behind: that are shown to be behind another.
        most: how far the others may be ahead of it, by their intervals; None where one is not known.
        as_few: whether one of the others trains as few numbers.
        alike: whether all are settings of one method.
    """
    key = ("only" if not others else "left") if behind else "any" if most is None else "enough"
    return SENTENCES[f"take {key}"].format(
        who=taken,
        why=SENTENCES["fewest" if not as_few else "as few of the others" if behind else "as few"],
        kind="setting" if alike else "method",
        behind=joined([*behind]) if behind else "",
        are="are" if len(behind) > 1 else "is",
        most=most,
    )


def sentences(verdicts: Iterable[Verdict]) -> list[str]:
    """Return one sentence for each verdict, then in one text what they rest on.

    First what all of them rest on, then behind its pairs what only they do.
    """
    known = list(verdicts)
    if not known:
        return []
    confidences = {verdict.confidence for verdict in known}
    least = min(confidences) if len(confidences) > 1 else None
    bases = [basis(verdict, least) for verdict in known]
    shared = [text for text in bases[0] if all(text in own for own in bases)]
    pairs: dict[str, list[str]] = {}
    for verdict, texts in zip(known, bases, strict=True):
        own = " ".join(text for text in texts if text not in shared)
        pairs.setdefault(own, []).append(f"{verdict.first} against {verdict.second}")
    behind = [*shared, *(f"{_named(names)}: {own}" for own, names in pairs.items() if own)]
    return [*map(result, known), " ".join(behind)]


def _named(pairs: Sequence[str]) -> str:
    """Return the first pairs, and how many more there are."""
    more = counted(len(pairs) - _MAX_NAMED, "more pair")
    return joined([*pairs[:_MAX_NAMED], *([more] if len(pairs) > _MAX_NAMED else [])])


def as_dicts(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Return the verdicts' fields as JSON can hold them, each with its texts."""
    return [
        asdict(one)
        | {
            "seeds": list(one.seeds),
            "alone": None if one.alone is None else list(one.alone),
            "result": result(one),
            "basis": " ".join(basis(one)),
        }
        for one in verdicts
    ]
