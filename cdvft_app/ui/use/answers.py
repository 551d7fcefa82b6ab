"""HTML of the Use tab: answers side by side, and the checks of an adapter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from cdvft_app.costs.quantities import amount
from cdvft_app.ui.use.html import table

MAX_CLASSES = 3  # of an answer, the likeliest
MAX_OF_INPUT = 160  # characters that head an answer


def answers(inputs: Sequence[str], found: Mapping[str, Any]) -> str:
    """A table for each input: every method's answer, with the likeliest classes as bars.

    Args:
        inputs: as they were given, or what stands for them.
        found: {"labels", "sides": [{"title", "note", "answers": [an answer]}]}, an answer being {"label",
            "probabilities", "value"}.
    """
    sides, labels = found["sides"], found["labels"]
    compared = [side for side in sides if not side["note"]]  # those that were trained
    parts = []
    for place, input_text in enumerate(inputs):
        first = compared[0]["answers"][place]["label"]
        same = all(side["answers"][place]["label"] == first for side in compared)
        agreed = "" if same or first is None else '<p class="differ">The methods differ here.</p>'
        rows = "".join(_row(side, side["answers"][place], labels, first) for side in sides)
        heads = ("Method", "Answer", "How sure")
        parts.append(
            f"<section><h3>{escape(_cut(input_text))}</h3>{agreed}"
            f"{table('answers', f'Answers {place + 1}', heads, rows)}</section>"
        )
    return "".join(parts)


def _name(side: Mapping[str, Any]) -> str:
    note = f'<span class="quiet">{escape(side["note"])}</span>' if side["note"] else ""
    return f'<th scope="row">{escape(side["title"])}{note}</th>'


def _row(side: Mapping[str, Any], answer: Mapping[str, Any], labels: Sequence[str], first: str | None) -> str:
    name = _name(side)
    if answer["label"] is None:
        return f"<tr>{name}<td>{answer['value']:.3f}</td><td></td></tr>"
    differs = answer["label"] != first
    mark = ' <span class="mark">≠</span><span class="hidden-text"> differs</span>' if differs else ""
    likeliest = sorted(zip(answer["probabilities"], labels, strict=True), reverse=True)[:MAX_CLASSES]
    bars = "".join(
        f'<li><span class="bar" style="--share:{share:.4f};--of:var(--method-{side["method"]})"></span>'
        f"{escape(label)} {100 * share:.1f}\u00a0%</li>"
        for share, label in likeliest
    )
    kind = ' class="differs"' if differs else ""
    return f"<tr{kind}>{name}<td><b>{escape(answer['label'])}</b>{mark}</td><td><ul>{bars}</ul></td></tr>"


def proof(found: Mapping[str, Any], title: str) -> str:
    """The promises with their differences, and what the file holds."""
    *promises, learned = found["checks"]
    rows = "".join(
        f"<tr><th scope='row'>{escape(check['promise'])}</th><td>{_difference(check['difference'])}</td>"
        f"<td>{_verdict(check)}</td></tr>"
        for check in promises
    )
    tensors = "".join(
        f"<tr><td>{escape(name)}</td><td>{' × '.join(map(str, shape))}</td><td>{numbers:,}</td></tr>"
        for name, shape, numbers in found["tensors"]
    )
    total = sum(numbers for _, _, numbers in found["tensors"])
    numbers = f"{len(found['tensors'])} tensors, {total:,} numbers"
    return (
        f"{table('proof', f'What {title} promises', ('Promise', 'Largest difference', 'Kept'), rows)}"
        f'<p class="quiet">Between logits of up to {promises[0]["size"]:.2f}, in float32. '
        f"What was learned moves them by {learned['difference']:.2f}.</p>"
        f"<details><summary>The file: {amount('bytes', found['file_bytes'])}, {numbers}</summary>"
        f"{table('tensors', 'Tensors', ('Tensor', 'Shape', 'Numbers'), tensors)}</details>"
    )


def _verdict(check: Mapping[str, Any]) -> str:
    """Float32 has about seven digits; sums over a model's width lose one or two of them."""
    return "yes" if check["difference"] <= 1e-4 * max(1.0, check["size"]) else "no"


def _difference(value: float) -> str:
    if value == 0:
        return "0"
    power = math.floor(math.log10(value))
    return f"{value / 10**power:.1f} × 10<sup>{power:d}</sup>".replace("<sup>-", "<sup>\u2212")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_OF_INPUT else f"{text[:MAX_OF_INPUT]}…"
