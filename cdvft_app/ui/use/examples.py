"""Check: held-out examples of a race, with the predictions of two runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from cdvft_app.errors import UserError
from cdvft_app.judging.outcomes import judged_race
from cdvft_app.payloads.use import Section
from cdvft_app.results import held_out
from cdvft_app.results.answering import ROWS_PER_PAGE, Answering
from cdvft_app.results.finished_run import FinishedRun
from cdvft_app.store import predictions
from cdvft_app.store.predictions import Predictions, WrittenAnswers
from cdvft_app.ui.shared.controls import LATEX, html
from cdvft_app.ui.shared.listeners import QUIET
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.use import held_out_tables, races, sheets

SHOWN = (
    ("Most confident errors", "mistakes"),
    ("The two disagree", "disagree"),
    ("Most confident correct", "right"),
    ("All", "all"),
)
SHOWN_OF_ANSWERS = (
    ("Mistakes, the worst first", "mistakes"),
    ("Only one is right", "disagree"),
    ("Right", "right"),
    ("All", "all"),
)
SHOWN_OF_NUMBERS = (
    ("Largest errors", "mistakes"),
    ("Furthest apart", "disagree"),
    ("Smallest errors", "right"),
    ("All", "all"),
)
NONE_KEPT = (
    "These runs kept no answers for the held-out rows; those of an earlier version did not. "
    "The rows can be answered now, the first {most:,} at most."
)
TEST = r"""Rows that both get right, or both wrong, do not say which method is better. Of the others, $b$ are
right with the first alone and $c$ with the second alone. Were both equally good, $b$ would be as the heads of
$b + c$ fair coins, so the exact McNemar test takes

$$p = \min\Big(1,\; 2 \sum_{k=0}^{\min(b, c)} \binom{b + c}{k} \, 2^{-(b + c)}\Big).$$

All pairs of a race are corrected together by Holm's method. Two methods differ significantly if the corrected
$p$ is below 0.05. From five seeds of each method on, the test includes the variation between seeds."""


def section(app: AppState, answering: Answering, race: gr.Dropdown, asking: dict[str, Any]) -> None:
    """Lay the section out; it follows the `race` that is chosen. `asking`: how a listener waits its turn."""
    html(
        "<h2>Check</h2><p class='hint'>Predictions on the held-out examples.</p>",
    )
    with gr.Row():
        first = gr.Dropdown([], label="Method", elem_id="use-first")
        second = gr.Dropdown([], label="Compare with", elem_id="use-second-run")
    scores = sheets.sections("use-scores")
    with gr.Accordion("How methods are compared", open=False, elem_classes=["fold"]) as explained:
        gr.Markdown(TEST, latex_delimiters=LATEX)
    evaluate = gr.Button("Predict the held-out rows", visible=False, elem_id="use-evaluate")
    with gr.Column(visible=False) as listed:
        show = gr.Radio(list(SHOWN), label="Rows", elem_id="use-show")
        label = gr.Dropdown([], label="Label", elem_id="use-label")
        rows = sheets.sections("use-rows")
        start = gr.State(0)
        with gr.Row(visible=False) as pages:
            back = gr.Button("Back", elem_id="use-back")
            further = gr.Button("Next", elem_id="use-further")

    def shown(group_id: object, chosen: Sequence[object], labels: bool) -> list[Any]:
        """Return the scores of the chosen runs; `labels`: fill the choice of labels, too."""
        runs = _chosen(app, group_id, chosen)
        named = [(run.label, run.record.method, kept) for run in runs if (kept := _predictions(app, run))]
        writes = bool(runs) and runs[0].plan.model.kind == "generation"
        lacking, regression = len(named) < len(runs), bool(runs) and not (writes or runs[0].labels)
        shows = SHOWN_OF_ANSWERS if writes else SHOWN_OF_NUMBERS if regression else SHOWN
        which = [one for one in shows if _possible(one[1], len(runs))]
        offered = [("Any", -1), *((name, place) for place, name in enumerate(runs[0].labels))] if runs else []
        none_kept = NONE_KEPT.format(
            most=held_out.MAX_PROMPTS_PREDICTED if writes else held_out.MAX_PREDICTED
        )
        found = [sheets.quiet(none_kept)] if lacking else _scores(app, runs, named) if runs else []
        return [
            {"sections": found},
            gr.update(visible=lacking and bool(runs)),
            gr.update(visible=bool(runs) and not lacking),
            gr.update(visible=len(runs) > 1 and not regression),
            gr.update(choices=which, value=None) if labels else gr.skip(),
            gr.update(choices=offered, value=-1, visible=not (regression or writes)) if labels else gr.skip(),
        ]

    def open_race(group_id: object) -> list[Any]:
        runs = races.opened(app.store, group_id)
        named = [(one.label, one.record.id) for one in runs]
        others = [*named[1:], *named[:1]][: max(len(named) - 1, 0)]
        one, other = (value[0][1] if value else None for value in (named, others))
        return [
            gr.update(choices=named, value=one),
            gr.update(choices=named, value=other, visible=len(named) > 1),
            *shown(group_id, (one, other), True),
            sheets.NOTHING,
            gr.update(visible=False),
        ]

    about = [scores, evaluate, listed, explained, show, label]
    race.change(open_race, race, [first, second, *about, rows, pages], **QUIET)

    def look(at: int, *choice: Any) -> list[Any]:
        """Return a page of rows, the row at which it begins, and updates of the buttons that turn pages."""
        group_id, one, other, which, of = choice
        runs = _chosen(app, group_id, (one, other))
        if not (runs and which):
            return [sheets.NOTHING, 0, gr.update(visible=False), gr.skip(), gr.skip()]
        try:
            found = answering.ask(
                "rows", run_ids=[run.record.id for run in runs], show=which,
                label=of if of is not None and of >= 0 else None, start=at,
            )  # fmt: skip
        except UserError as error:
            return [sheets.refused(str(error)), 0, gr.update(visible=False), gr.skip(), gr.skip()]
        count, last = found["count"], min(at + ROWS_PER_PAGE, found["count"])
        head = [sheets.quiet(f"{at + 1:,} to {last:,} of {count:,} rows")] if count else []
        table = _rows(found, runs)
        more = last < count
        return [
            {"sections": [*head, *table]}, at, gr.update(visible=at > 0 or more),
            gr.update(interactive=at > 0), gr.update(interactive=more),
        ]  # fmt: skip

    def anew(*choice: Any) -> list[Any]:
        return look(0, *choice)

    def turned(by: int) -> Callable[..., list[Any]]:
        return lambda *choice: look(max(choice[-1] + by, 0), *choice[:-1])

    choice, page = [race, first, second, show, label], [rows, start, pages, back, further]
    last = {**asking, "trigger_mode": "always_last"}  # of those that come while an answer is under way
    for chosen_run in (first, second):
        chosen_run.input(
            lambda group_id, *runs: shown(group_id, runs, False), [race, first, second], about, **QUIET
        )
    looking = [
        *(field.input(anew, choice, page, **last) for field in (first, second, show, label)),
        back.click(turned(-ROWS_PER_PAGE), [*choice, start], page, **asking),
        further.click(turned(ROWS_PER_PAGE), [*choice, start], page, **asking),
    ]

    def evaluate_all(group_id: object, one: object, other: object) -> list[Any]:
        runs = races.opened(app.store, group_id)
        try:
            for run in runs:
                if _predictions(app, run) is None:
                    ids = [each.record.id for each in runs]
                    answering.ask("evaluate", run_id=run.record.id, with_runs=ids)
        except UserError as error:
            return [sheets.refused(str(error)), *[gr.skip()] * (len(about) - 1)]
        return shown(group_id, (one, other), True)

    evaluating = evaluate.click(evaluate_all, [race, first, second], about, **asking)
    race.change(None, None, None, cancels=[evaluating, *looking], **QUIET)


def _possible(show: str, runs: int) -> bool:
    return show != "disagree" or runs > 1


def _scores(
    app: AppState,
    runs: Sequence[FinishedRun],
    named: Sequence[tuple[str, str, Predictions | WrittenAnswers]],
) -> list[Section]:
    written = [(title, key, one) for title, key, one in named if isinstance(one, WrittenAnswers)]
    answered = [(title, key, one) for title, key, one in named if isinstance(one, Predictions)]
    if answered and not runs[0].labels:
        return held_out_tables.of_numbers(answered)
    race = judged_race(app.store.group(runs[0].record.group_id), app.store) if len(runs) > 1 else None
    verdict = race.between(runs[0].record.id, runs[1].record.id) if race else None
    if written:
        return held_out_tables.of_written(written, runs[0].plan.dataset.fields, verdict)
    return held_out_tables.of_classes(answered, runs[0].labels, verdict)


def _rows(found: dict[str, Any], runs: Sequence[FinishedRun]) -> list[Section]:
    titles = [run.label for run in runs]
    if runs[0].plan.model.kind == "generation":
        return held_out_tables.of_written_rows(found, titles, runs[0].plan.dataset.fields)
    return held_out_tables.of_labelled_rows(found, titles, runs[0].labels)


def _chosen(app: AppState, group_id: object, run_ids: Sequence[object]) -> list[FinishedRun]:
    """Return the runs of the race with these ids, each once."""
    runs = {run.record.id: run for run in races.opened(app.store, group_id)}
    return [runs[run_id] for run_id in dict.fromkeys(run_ids) if isinstance(run_id, str) and run_id in runs]


def _predictions(app: AppState, run: FinishedRun) -> Predictions | WrittenAnswers | None:
    return predictions.read_either(app.store.folder(run.record.id))
