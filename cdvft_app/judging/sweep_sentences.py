"""What a sweep says, in sentences: where CDVFT stands, what each of its settings changes, what failed."""

from __future__ import annotations

from collections.abc import Sequence

from cdvft_app.costs.sentences import joined
from cdvft_app.judging import words
from cdvft_app.judging.families import Family, judged
from cdvft_app.judging.sweep_labels import setting_label
from cdvft_app.judging.sweep_results import Setting, SweepRun, complete_seeds, settings_of

_MOST_NAMED = 4
_CDVFT_WITH = "CDVFT with "
"""Begins the name of each of its settings in a verdict; see `sweep_labels`."""


def family_of(runs: Sequence[SweepRun], metric_name: str, family: int | None = None) -> Family:
    """The verdicts on a sweep's runs, of seeds that have all ended; `family` as it is kept with them."""
    whole = [run for one in complete_seeds(settings_of(runs)) for run in one.runs]
    return judged(
        whole, metric_name, lambda run: setting_label(settings_of([run])[0]), sweep=True, family=family
    )


def answer(family: Family) -> str:
    """Which of CDVFT's settings are shown to matter, in one sentence; empty where none was varied."""
    along = [verdict for (method, _), verdict in family.along.items() if method == "cdvft"]
    decided = [words.result(verdict) for verdict in along if verdict.word in ("ahead", "behind")]
    if not decided:
        return words.SENTENCES["no setting"] if along else ""
    parts = (text.removesuffix(".").replace(_CDVFT_WITH, "") for text in decided)
    return f"CDVFT: {'; '.join(parts)}."


def sentences(settings: Sequence[Setting], family: Family) -> list[str]:
    """The verdicts on CDVFT, or all where it did not take part; empty until two settings have finished."""
    methods = {key for pair in family.between for key in pair}
    between = family.against("cdvft") if "cdvft" in methods else list(family.between.values())
    failed = [setting_label(one) for one in settings if one.failed]
    texts = words.sentences([*between, *family.along.values()])
    if failed:
        more = [words.counted(len(failed) - _MOST_NAMED, "more")] if len(failed) > _MOST_NAMED else []
        texts.append(words.SENTENCES["failed"].format(settings=joined([*failed[:_MOST_NAMED], *more])))
    return texts
