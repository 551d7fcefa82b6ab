"""The held-out prompts of models that write as HTML: who is right how often, and what each wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from cdvft_app.judging.verdict import Verdict
from cdvft_app.metrics import METRICS, metric_title
from cdvft_app.metrics.fields import read_fields
from cdvft_app.results.held_out import mistakes_by_field
from cdvft_app.store.predictions import WrittenAnswers
from cdvft_app.ui.use.example_tables import judged
from cdvft_app.ui.use.html import table

MAX_OF_TEXT = 600  # characters
RunWritten = tuple[str, str, WrittenAnswers]
"""Of a run: what it is called, its method's key, and what it wrote."""


def of_answers(runs: Sequence[RunWritten], fields: Sequence[str], verdict: Verdict | None) -> str:
    """How many answers of each run are right, the judge's verdict, and the mistakes by field."""
    rows = "".join(
        f'<tr><th scope="row">{escape(title)}</th>{_counts(answers)}</tr>' for title, _, answers in runs
    )
    names = _graded(runs[0][2])
    heads = ("Method", "Right", *(f"{metric_title(name, short=True)}, mean of the rows" for name in names))
    tested = judged(runs, verdict) if len(runs) > 1 else ""
    return f"{tested}{table('errors', 'Right answers', heads, rows)}{_by_field(runs, fields)}"


def _counts(answers: WrittenAnswers) -> str:
    right, count = int(answers.correct.sum()), len(answers.entries)
    share = f" ({100 * right / count:.1f}\u00a0%)" if count else ""
    means = "".join(f"<td>{answers.scores(name).mean():.3f}</td>" for name in _graded(answers))
    return f"<td>{right:,} of {count:,}{share}</td>{means}"


def _graded(answers: WrittenAnswers) -> list[str]:
    """The metrics of its rows that are more than right or wrong."""
    scores = answers.entries[0].scores if answers.entries else {}
    return [key for key, metric in METRICS.items() if key in scores and not metric.percent]


def _by_field(runs: Sequence[RunWritten], fields: Sequence[str]) -> str:
    if not fields:
        return ""
    counted = [mistakes_by_field(answers, fields) for _, _, answers in runs]
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{one[name]:,}</td>" for one in counted)}</tr>'
        for name in fields
    )
    heads = ("Field", *(escape(title) for title, _, _ in runs))
    return (
        "<details><summary>Mistakes of each field</summary>"
        '<p class="quiet">In so many rows the field has another value, is missing, or is too many.</p>'
        f"{table('errors', 'Mistakes of each field', heads, rows)}</details>"
    )


def of_rows(found: Mapping[str, Any], titles: Sequence[str], fields: Sequence[str]) -> str:
    """Prompts with the right answer and each run's; see `held_out.prompt_rows`."""
    if not found["rows"]:
        return '<p class="quiet">There is no such row.</p>'
    rows = "".join(
        f'<tr><td>{row["row"] + 1:,}</td><td class="given">{_lines(row["prompt"])}</td>'
        f"<td>{_lines(row['expected'])}</td>"
        f"{''.join(_answer(one, row['expected'], fields) for one in row['answers'])}</tr>"
        for row in found["rows"]
    )
    return table("examples", "Held-out rows", ("Row", "Prompt", "Right answer", *map(escape, titles)), rows)


def _answer(one: Mapping[str, Any], expected: str, fields: Sequence[str]) -> str:
    if one["correct"]:
        return f"<td>{_lines(one['text'])}</td>"
    said = read_fields(one["text"], fields) if fields else {}
    if not said:
        return f'<td class="wrong">{_lines(one["text"])}{_mark("wrong")}</td>'
    wanted = {**dict.fromkeys(said), **read_fields(expected, fields)}
    lines = [_field(name, said.get(name), name in one["wrong"]) for name in fields if name in wanted]
    return f'<td class="wrong">{"<br>".join(lines)}</td>'


def _field(name: str, value: str | None, wrong: bool) -> str:
    if value is None:
        return f"<b>{escape(name)}:</b>{_mark('missing')}"
    line = f"{escape(name)}: {escape(value)}"
    return f"<b>{line}</b>{_mark('wrong')}" if wrong else line


def _mark(word: str) -> str:
    return f' <span class="mark">✗</span><span class="hidden-text"> {word}</span>'


def _lines(text: str) -> str:
    cut = text if len(text) <= MAX_OF_TEXT else f"{text[:MAX_OF_TEXT]}…"
    return "<br>".join(map(escape, cut.splitlines()))
