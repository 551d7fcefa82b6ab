"""Templates of the statistical comparison, in one table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from cdvft_app.format import counted, joined
from cdvft_app.judging.judge import MARGIN, METHODS_FROM, Verdict
from cdvft_app.metrics import get_metric

SENTENCES = {
    "ahead": "{first} scores {size} higher than {second} ({low} to {high}).",
    "behind": "{first} scores {size} lower than {second} ({low} to {high}).",
    "as good": "{first} and {second} are equivalent within ±{margin} ({low} to {high}).",
    "not shown": "No significant difference: {first} scores {size} {more} than {second} ({low} to {high}).",
    "level": "No significant difference: {first} and {second} score about the same ({low} to {high}).",
    "unknown": "{first} scores {size} {more} than {second}. The uncertainty is not known.",
    "unknown level": "{first} and {second} score about the same. The uncertainty is not known.",
    "runs": "This compares runs of {first_seeds} and {second_seeds}. A comparison of methods needs "
    "{methods} of each.",
    "one seed": "This compares runs of {first_seeds} and {second_seeds}, without random variation between "
    "seeds. A comparison of methods needs {methods} of each.",
    "methods": "The interval covers {first_seeds} and {second_seeds}, over seeds and examples.",
    "same rows": "Paired by example over {rows}",
    "own rows": "Unpaired over {rows}",
    "interval": "{where}, {least}{confidence} confidence interval in parentheses{family}.",
    "family": ", Holm-corrected over {pairs}",
    "all": "The best of several settings was chosen on these examples, so the correction counts all pairs.",
    "front of one": "{who} has the highest {what} with {least}.",
    "front": "Pareto-optimal for {what} and {noun}: {who}.",
    "long front": "Pareto-optimal for {what} and {noun}: {settings}, from {first} to {last}.",
    "one setting": "The chart shows one setting, {who}. Train another method on the same data to compare.",
    "nothing known": "The {noun} of these runs are not known.",
    "nothing measured": "The memory of these runs was not measured.",
    "rate": "The learning rate must be tuned: {verdicts}",
    "searched rates": "The race uses the recipe's learning rates. Retrained at the best rate on the "
    "validation set (python -m benchmarks.equal_numbers): {verdicts}",
    "edge": "The best learning rate of {settings} is at the edge of the search range.",
    "no setting": "No value of a CDVFT setting is significantly better than another.",
    "failed": "Excluded because a run failed: {settings}.",
    "use": "Use {who}: {why}.",
    "best": "highest score",
    "cheaper": "equivalent to {best} within ±{margin}, with fewer trainable parameters",
    "open": "highest score, but the difference to {others} is not significant",
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
        "more": "higher" if size >= 0 else "lower",
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


def advice(taken: str, best: str, unclear: Sequence[str], margin: str) -> str:
    """Return one sentence that recommends a setting.

    Args:
        taken: The recommended setting.
        best: The setting with the highest mean. If it is another one, `taken` is equivalent and smaller.
        unclear: Settings that do not differ significantly from `taken`.
        margin: The margin of equivalence, formatted.
    """
    if taken != best:
        why = SENTENCES["cheaper"].format(best=best, margin=margin.replace("1.0", "1"))
    elif unclear:
        why = SENTENCES["open"].format(others=_named(unclear))
    else:
        why = SENTENCES["best"]
    return SENTENCES["use"].format(who=taken, why=why)


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
        pairs.setdefault(own, []).append(f"{verdict.first} and {verdict.second}")
    behind = [*shared, *(f"{_named(names)}: {own}" for own, names in pairs.items() if own)]
    return [*map(result, known), " ".join(behind)]


def _named(pairs: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f"{len(pairs) - _MAX_NAMED} more"
    return joined([*pairs[:_MAX_NAMED], *([more] if len(pairs) > _MAX_NAMED else [])])
