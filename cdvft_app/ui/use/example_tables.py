"""The held-out rows as HTML: who is right how often, the scores of each class, and the rows themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from cdvft_app.judging import verdict_text
from cdvft_app.judging.verdict import Verdict
from cdvft_app.results import held_out
from cdvft_app.store.predictions import Predictions
from cdvft_app.ui.use.html import scrolling, table

MAX_CLASSES = 20  # that are drawn as a matrix
MAX_CONFUSED = 20  # pairs of classes, where there are more
RunAnswers = tuple[str, str, Predictions]
"""Of a run: what it is called, its method's key, and what it answered."""


def of_classes(runs: Sequence[RunAnswers], labels: Sequence[str], verdict: Verdict | None) -> str:
    """A confusion matrix a run, the scores of each class, and the judge's verdict on the first two."""
    counted = [held_out.confusion(answers) for _, _, answers in runs]
    matrices = "".join(_matrix(one, matrix, labels) for one, matrix in zip(runs, counted, strict=True))
    tested = judged(runs, verdict) if len(runs) > 1 else ""
    return f'{tested}<div class="matrices">{matrices}</div>{_per_class(runs, counted, labels)}'


def judged(runs: Sequence[tuple[str, str, Any]], verdict: Verdict | None) -> str:
    """How often each of two alone is right, and what the judge of their race says of them."""
    (first, _, one), (second, _, other) = runs[:2]
    parts = []
    if np.array_equal(one.rows, other.rows) and np.array_equal(one.labels, other.labels):
        alone = int((one.correct & ~other.correct).sum()), int((other.correct & ~one.correct).sum())
        parts.append(
            f"<p>{escape(first)} alone is right on {alone[0]:,} of {len(one.rows):,} rows, "
            f"{escape(second)} alone on {alone[1]:,}.</p>"
        )
    else:
        parts.append('<p class="quiet">These two did not answer the same rows.</p>')
    if verdict:
        parts += [
            f"<p><b>{escape(verdict_text.result(verdict))}</b> "
            f"{escape(verdict_text.settled_by(verdict))}</p>",
            f'<p class="quiet">{escape(" ".join(verdict_text.basis(verdict)))}</p>',
        ]
    return "".join(parts)


def _matrix(run: RunAnswers, counted: np.ndarray, labels: Sequence[str]) -> str:
    title, method, answers = run
    right, rows = int(answers.correct.sum()), len(answers.labels)
    heading = f"<h3>{escape(title)}: {right:,} of {rows:,} right ({100 * right / rows:.1f}\u00a0%)</h3>"
    if len(labels) > MAX_CLASSES:
        return f"<section>{heading}{_confused(title, counted, labels)}</section>"
    heads = "".join(f'<th scope="col">{escape(label)}</th>' for label in labels)
    body = "".join(
        f'<tr><th scope="row">{escape(label)}</th>'
        f"{''.join(_cell(count, line.sum(), place == truth) for place, count in enumerate(line))}</tr>"
        for truth, (label, line) in enumerate(zip(labels, counted, strict=True))
    )
    drawn = (
        f'<table class="confusion" style="--of:var(--method-{method})"><thead>'
        f'<tr><td></td><th scope="colgroup" colspan="{len(labels)}">Answer</th></tr>'
        f"<tr><th scope='col'>Label</th>{heads}</tr></thead><tbody>{body}</tbody></table>"
    )
    return f"<section>{heading}{scrolling(f'Labels and answers of {title}', drawn)}</section>"


def _cell(count: int, of: int, right: bool) -> str:
    share = count / of if of else 0.0
    kind = ' class="right"' if right else ""
    return f'<td{kind} style="--share:{share:.3f}">{count:,}</td>'


def _confused(title: str, counted: np.ndarray, labels: Sequence[str]) -> str:
    wrong = counted - np.diag(counted.diagonal())
    worst = np.argsort(-wrong, axis=None, kind="stable")[:MAX_CONFUSED]
    pairs = [(*divmod(int(place), len(labels)), int(wrong.flat[place])) for place in worst]
    rows = "".join(
        f"<tr><td>{escape(labels[truth])}</td><td>{escape(labels[answer])}</td><td>{count:,}</td></tr>"
        for truth, answer, count in pairs
        if count
    )
    return table("confused", f"What {title} confuses most often", ("Label", "Answer", "Rows"), rows)


def _per_class(runs: Sequence[RunAnswers], counted: Sequence[np.ndarray], labels: Sequence[str]) -> str:
    of_runs = [held_out.class_scores(matrix) for matrix in counted]
    above = "".join(f'<th scope="colgroup" colspan="3">{escape(title)}</th>' for title, _, _ in runs)
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Precision", "Recall", "F1")) * len(runs)
    body = "".join(
        f'<tr><th scope="row">{escape(label)}</th><td>{lines[0].rows:,}</td>'
        f"{''.join(map(_scored, lines))}</tr>"
        for label, *lines in zip(labels, *of_runs, strict=True)
    )
    drawn = (
        f'<table class="per-class"><thead><tr><td colspan="2"></td>{above}</tr>'
        f'<tr><th scope="col">Class</th><th scope="col">Rows</th>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )
    return (
        "<details><summary>Scores of each class</summary>"
        '<p class="quiet">Precision: of the rows given this answer, how many have this label. '
        "Recall: of the rows with this label, how many were given this answer. F1: their harmonic mean.</p>"
        f"{scrolling('Scores of each class', drawn)}</details>"
    )


def _scored(one: held_out.ClassScore) -> str:
    return "".join(f"<td>{_share(value)}</td>" for value in (one.precision, one.recall, one.f1))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}\u00a0%"


def of_numbers(runs: Sequence[RunAnswers]) -> str:
    """The errors of each run of a regression, and its answers against the labels."""
    rows, drawn = "", ""
    for title, method, answers in runs:
        found = held_out.errors(answers)
        values = (found.mean_absolute, found.root_mean_square, found.mean)
        cells = "".join(f"<td>{value:.3f}</td>" for value in values)
        rows += f'<tr><th scope="row">{escape(title)}</th>{cells}</tr>'
        drawn += f"<section><h3>{escape(title)}</h3>{_scatter(title, method, answers)}</section>"
    heads = ("Method", "Mean error, unsigned", "Root mean square", "Mean error")
    return f'{table("errors", "Errors", heads, rows)}<div class="matrices">{drawn}</div>'


MAX_POINTS = 2000
SIDE = 240  # pixels


def _scatter(title: str, method: str, answers: Predictions) -> str:
    labels, outputs = answers.labels[:MAX_POINTS], answers.outputs[:MAX_POINTS, 0]
    low, high = float(min(labels.min(), outputs.min())), float(max(labels.max(), outputs.max()))
    scale = SIDE / ((high - low) or 1.0)
    dots = "".join(
        f'<circle cx="{scale * (label - low):.1f}" cy="{SIDE - scale * (answer - low):.1f}" r="2"/>'
        for label, answer in zip(labels.tolist(), outputs.tolist(), strict=True)
    )
    about = f"Answers of {title} against labels, from {low:.3g} to {high:.3g}; on the line they agree"
    return (
        f'<svg class="scatter" viewBox="-4 -4 {SIDE + 8} {SIDE + 8}" role="img" aria-label="{escape(about)}" '
        f'style="--of:var(--method-{method})"><path d="M0 {SIDE}L{SIDE} 0"/>{dots}</svg>'
        f'<p class="quiet">Labels to the right, answers upwards, both from {low:.3g} to {high:.3g}.</p>'
    )


def of_rows(found: Mapping[str, Any], titles: Sequence[str], labels: Sequence[str]) -> str:
    """Rows with what was given, the label and each run's answer; see `held_out.table_rows`."""
    if not found["rows"]:
        return '<p class="quiet">There is no such row.</p>'
    rows = "".join(
        f'<tr><td>{row["row"] + 1:,}</td><td class="given">{_given(row)}</td>'
        f"<td>{_label(row['label'], labels)}</td>"
        f"{''.join(_answer(row['label'], answer, labels) for answer in row['answers'])}</tr>"
        for row in found["rows"]
    )
    what = "Image" if found["rows"][0]["image"] else "Text"
    heads = ("Row", what, "Label", *map(escape, titles))
    return table("examples", "Held-out rows", heads, rows)


def _given(row: Mapping[str, Any]) -> str:
    if row["image"]:
        return f'<img src="{row["image"]}" alt="Row {row["row"] + 1}">'
    given = row["given"]
    return escape(given) if isinstance(given, str) else "<hr>".join(map(escape, given))


def _label(label: float, labels: Sequence[str]) -> str:
    return escape(labels[int(label)]) if labels else f"{label:.2f}"


def _answer(label: float, answer: Mapping[str, Any], labels: Sequence[str]) -> str:
    if "value" in answer:
        return f"<td>{answer['value']:.2f} <span class='quiet'>({answer['value'] - label:+.2f})</span></td>"
    wrong = answer["class"] != label
    mark = ' <span class="mark">✗</span><span class="hidden-text"> wrong</span>' if wrong else ""
    kind = ' class="wrong"' if wrong else ""
    return (
        f"<td{kind}><b>{escape(labels[answer['class']])}</b>{mark} "
        f'<span class="quiet">{100 * answer["sure"]:.1f}\u00a0%</span></td>'
    )
