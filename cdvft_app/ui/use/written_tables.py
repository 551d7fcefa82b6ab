"""The held-out prompts of models that write: who is right how often, and what each wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cdvft_app.judging.judge import Verdict
from cdvft_app.metrics import METRICS, metric_title
from cdvft_app.metrics.fields import read_fields
from cdvft_app.payloads.use import Line, Section, SheetCell
from cdvft_app.results.held_out import mistakes_by_field
from cdvft_app.results.table_score import per_cent
from cdvft_app.store.predictions import WrittenAnswers
from cdvft_app.store.records import shortened
from cdvft_app.ui.use.example_tables import judged
from cdvft_app.ui.use.sheets import cell, line, quiet, sheet

MAX_OF_TEXT = 600  # characters
RunWritten = tuple[str, str, WrittenAnswers]
"""Of a run: what it is called, its method's key, and what it wrote."""


def of_answers(runs: Sequence[RunWritten], fields: Sequence[str], verdict: Verdict | None) -> list[Section]:
    """How many answers of each run are right, the judge's verdict, and the mistakes by field."""
    names = _graded(runs[0][2])
    heads = ("Method", "Right", *(f"{metric_title(name, short=True)}, mean of the rows" for name in names))
    right = sheet("errors", "Right answers", heads, [[cell(title), *_counts(one)] for title, _, one in runs])
    tested = judged(runs, verdict) if len(runs) > 1 else []
    return [*tested, {"sheet": right}, *_by_field(runs, fields)]


def _counts(answers: WrittenAnswers) -> list[SheetCell]:
    right, count = int(answers.correct.sum()), len(answers.entries)
    share = f" ({per_cent(right / count)})" if count else ""
    means = (cell(f"{answers.scores(name).mean():.3f}") for name in _graded(answers))
    return [cell(f"{right:,} of {count:,}{share}"), *means]


def _graded(answers: WrittenAnswers) -> list[str]:
    """The metrics of its rows that are more than right or wrong."""
    scores = answers.entries[0].scores if answers.entries else {}
    return [key for key, metric in METRICS.items() if key in scores and not metric.percent]


def _by_field(runs: Sequence[RunWritten], fields: Sequence[str]) -> list[Section]:
    if not fields:
        return []
    counted = [mistakes_by_field(answers, fields) for _, _, answers in runs]
    rows = [[cell(name), *(cell(f"{one[name]:,}") for one in counted)] for name in fields]
    heads = ("Field", *(title for title, _, _ in runs))
    return [
        {
            "title": "Mistakes of each field",
            "folded": True,
            "quiet": "In so many rows the field has another value, is missing, or is too many.",
            "sheet": sheet("errors", "Mistakes of each field", heads, rows),
        }
    ]


def of_rows(found: Mapping[str, Any], titles: Sequence[str], fields: Sequence[str]) -> list[Section]:
    """Prompts with the right answer and each run's; see `held_out.prompt_rows`."""
    if not found["rows"]:
        return [quiet("There is no such row.")]
    rows = [
        [
            cell(f"{row['row'] + 1:,}"),
            cell(shortened(row["prompt"], MAX_OF_TEXT)),
            cell(shortened(row["expected"], MAX_OF_TEXT)),
            *(_answer(one, row["expected"], fields) for one in row["answers"]),
        ]
        for row in found["rows"]
    ]
    heads = ("Row", "Prompt", "Right answer", *titles)
    return [{"sheet": sheet("examples", "Held-out rows", heads, rows)}]


def _answer(one: Mapping[str, Any], expected: str, fields: Sequence[str]) -> SheetCell:
    written = cell(shortened(one["text"], MAX_OF_TEXT))
    if one["correct"]:
        return written
    said = read_fields(one["text"], fields) if fields else {}
    if not said:
        written["lines"][-1]["wrong"] = "wrong"
        return written
    wanted = {**dict.fromkeys(said), **read_fields(expected, fields)}
    return {
        "lines": [_field(name, said.get(name), name in one["wrong"]) for name in fields if name in wanted]
    }


def _field(name: str, value: str | None, wrong: bool) -> Line:
    if value is None:
        return line(f"{name}:", strong=True, wrong="missing")
    return line(f"{name}: {value}", strong=True, wrong="wrong") if wrong else line(f"{name}: {value}")
