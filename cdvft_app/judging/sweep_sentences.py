"""What a sweep says, in sentences: where CDVFT stands, what each of its settings changes, what failed."""

from __future__ import annotations

from collections.abc import Sequence

from cdvft_app.costs.sentences import joined
from cdvft_app.judging import words
from cdvft_app.judging.families import Family, judged
from cdvft_app.judging.sweep_labels import setting_label
from cdvft_app.judging.sweep_results import RATES, Setting, SweepRun, complete_seeds, settings_of
from cdvft_app.judging.verdict import Verdict

_MAX_NAMED = 4
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
    along = {key: one for key, one in family.along.items() if key[0] == "cdvft"}
    decided = {key: one for key, one in along.items() if one.word in ("ahead", "behind")}
    if not decided:
        return words.SENTENCES["no setting"] if along else ""
    sizes = _listed([one for (_, name, _), one in decided.items() if name != RATES])
    rates = _listed([one for (_, name, _), one in decided.items() if name == RATES])
    said = [f"CDVFT, each value at its own best: {sizes}"] if sizes else []
    return " ".join(said + ([words.SENTENCES["rate"].format(verdicts=rates)] if rates else []))


def _listed(verdicts: Sequence[Verdict]) -> str:
    parts = (words.result(one).removesuffix(".").replace(_CDVFT_WITH, "") for one in verdicts)
    return "; ".join(parts) + "." if verdicts else ""


def sentences(settings: Sequence[Setting], family: Family) -> list[str]:
    """The verdicts on CDVFT, or all where it did not take part; empty until two settings have finished."""
    methods = {key for pair in family.between for key in pair}
    between = family.against("cdvft") if "cdvft" in methods else list(family.between.values())
    failed = [setting_label(one) for one in settings if one.failed]
    texts = words.sentences([*between, *family.along.values()])
    if family.edges:
        texts.append(words.SENTENCES["edge"].format(settings=joined(family.edges)))
    if failed:
        more = [words.counted(len(failed) - _MAX_NAMED, "more")] if len(failed) > _MAX_NAMED else []
        texts.append(words.SENTENCES["failed"].format(settings=joined([*failed[:_MAX_NAMED], *more])))
    return texts
