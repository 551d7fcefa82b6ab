"""Whether more rows would help: a run of a race once more on a third and on two thirds of its rows, judged.

These runs have the steps, the schedule, the seed and the evaluation rows of the whole one, and rows of its
own: what differs is how many. They are in the group of the race, whose other verdicts leave them out.
"""

from __future__ import annotations

from collections.abc import Sequence

from cdvft_app.judging import verdict_text
from cdvft_app.judging.compared_runs import compared_run, contestant
from cdvft_app.judging.judge import Pair, Verdict, judge
from cdvft_app.settings import InvalidChoice, RunSettings
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import UNFINISHED

THIRDS = (1, 2)
MIN_ROWS = 24  # a third of them are as many as a run takes at least


def on_fewer_rows(run: RunRecord) -> list[RunSettings]:
    """Return the run's settings on a third and on two thirds of its rows.

    Raises:
        InvalidChoice: it has not finished, or has too few rows.
    """
    rows, steps = run.result.get("train_examples"), run.total_steps
    if run.state != "finished" or run.settings.evaluate_on == "validation" or not rows or not steps:
        raise InvalidChoice("This is asked of a run that has finished and was scored on evaluation rows.")
    if rows < MIN_ROWS:
        raise InvalidChoice(f"It was trained on {rows} rows; it takes {MIN_ROWS} or more to ask this.")
    return [
        run.settings.model_copy(update={"train_examples": rows * third // 3, "max_steps": steps})
        for third in THIRDS
    ]


def whole_and_fewer(group: Sequence[RunRecord]) -> tuple[list[RunRecord], list[RunRecord]]:
    """Return the runs of a race, and those of them that were asked for besides, on fewer rows."""
    rows = group[0].settings.train_examples if group else None
    whole = [run for run in group if run.settings.train_examples == rows]
    return whole, [run for run in group if run.settings.train_examples != rows]


def is_there(settings: RunSettings, fewer: Sequence[RunRecord]) -> bool:
    """Whether a run with these settings, one of `on_fewer_rows`, has finished or is still to finish."""
    return any(
        _is_alike(run, settings)
        and run.settings.train_examples == settings.train_examples
        and run.state in (*UNFINISHED, "finished")
        for run in fewer
    )


def sentences(group: Sequence[RunRecord], between: Sequence[Verdict], store: RunStore) -> list[str]:
    """Return sentences on whether more rows would help, one for each run that was also trained on fewer rows.

    Args:
        group: the runs of a race, and those on fewer rows.
        between: the verdicts on its methods.
        store: has what they answered row by row.
    """
    whole, fewer = whole_and_fewer(group)
    apart = max((abs(one.size) for one in between if one.word in ("ahead", "behind")), default=0.0)
    said = []
    for run in whole:
        alike = [one for one in fewer if _is_alike(one, run.settings) and _is_scored(one)]
        alike = sorted(alike, key=lambda one: one.settings.train_examples or 0)
        if not _is_scored(run) or not run.metric_name or len(alike) < len(THIRDS):
            continue
        every, *parts = (
            contestant(f"{_rows(one):,} rows", [compared_run(one, store)])
            for one in (run, alike[0], alike[-1])
        )
        of_third, of_two_thirds = judge([Pair((every,), (part,)) for part in parts], run.metric_name)
        counts = [_rows(one) for one in (alike[0], alike[-1], run)]
        is_most = of_two_thirds.size > apart if between else None
        who = run.settings.method.label()
        said.append(verdict_text.more_rows(who, counts, of_third, of_two_thirds, is_most))
    return said


def _is_alike(run: RunRecord, settings: RunSettings) -> bool:
    return run.settings.method == settings.method and run.settings.seed == settings.seed


def _is_scored(run: RunRecord) -> bool:
    return run.state == "finished" and run.metric is not None


def _rows(run: RunRecord) -> int:
    return run.result.get("train_examples", 0)
