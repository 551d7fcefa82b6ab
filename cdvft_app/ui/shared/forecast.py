"""HTML shown before a race starts: trained parameters, time and memory, and CDVFT's blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from cdvft.blocks import partitions
from cdvft_app.catalog.plan import Plan
from cdvft_app.figures import block_layout
from cdvft_app.methods import Method, labels
from cdvft_app.methods.cdvft import Cdvft
from cdvft_app.prediction import Prediction
from cdvft_app.ui.shared.outlook import names, outlook

MAX_SHAPES = 3


@dataclass(frozen=True)
class Forecast:
    """HTML for the sentence, the counts, time and memory, and for CDVFT's block layout."""

    counts: str
    blocks: str


def forecast(plans: Sequence[Plan], promised: Sequence[Prediction | None]) -> Forecast:
    """Of a race's runs, with what is promised of each."""
    shapes = plans[0].target_shapes
    if not shapes:
        text = "The layers of this model are counted once it is loaded."
        return Forecast(f'<p class="promise quiet">{text}</p>', "")
    methods = [plan.settings.method for plan in plans]
    counts = [
        _Counted(method, label, name, plan.trainable_parameters() or 0)
        for plan, method, label, name in zip(plans, methods, labels(methods), names(plans), strict=True)
    ]
    whole = sum(d_out * d_in * count for _, d_out, d_in, count in shapes)
    first = next((one for one in counts if one.method.key == "cdvft"), counts[0])
    others = [one for one in counts if one is not first]
    sentence = _sentence(first, plans[0].model.title, whole)
    return Forecast(sentence + _list(others) + outlook(plans, promised), _blocks(plans))


@dataclass(frozen=True)
class _Counted:
    """A competitor with the numbers it trains; `name` is short, `label` has its settings."""

    method: Method
    label: str
    name: str
    parameters: int


def _sentence(one: _Counted, model: str, whole: int) -> str:
    method, parameters = one.method, one.parameters
    if method.key == "head":
        return '<p class="promise">Only the classifier head is trained; the model stays as it is.</p>'
    if method.key == "full":
        return f'<p class="promise">All <b>{parameters:,}</b> numbers of the model are trained.</p>'
    percent = 100 * parameters / whole
    share = f"{percent:.2g} %" if percent < 99.5 else f"{percent:,.0f} %"
    hint = f"The adapted layers of {escape(model)} hold {whole:,} numbers, which stay frozen."
    return (
        f'<p class="promise" title="{hint}">{escape(one.name)} trains <b>{parameters:,}</b> '
        f"numbers instead of {whole:,} <span class='quiet'>({share} of the adapted layers)</span></p>"
    )


def _list(counts: list[_Counted]) -> str:
    items = "".join(
        f'<li><span class="dot {one.method.key}"></span>{escape(one.label)} <b>{one.parameters:,}</b></li>'
        for one in counts
    )
    return (
        f'<ul class="counts" aria-label="Trained numbers of the others" role="list">{items}</ul>'
        if counts
        else ""
    )


def _blocks(plans: Sequence[Plan]) -> str:
    plan = next((plan for plan in plans if plan.settings.method.key == "cdvft"), None)
    if plan is None:
        return ""
    method = plan.settings.method
    assert isinstance(method, Cdvft)
    by_shape: dict[tuple[int, int], list[tuple[str, int]]] = {}
    for name, d_out, d_in, count in plan.target_shapes:
        by_shape.setdefault((d_out, d_in), []).append((name, count))
    drawn = []
    for (d_out, d_in), groups in list(by_shape.items())[:MAX_SHAPES]:
        first, *later = partitions(d_out, d_in, method.m, method.block_size)
        names = " and ".join(escape(name) for name, _ in groups)
        total = sum(count for _, count in groups)
        many = first.q1 * first.q2
        words = (
            f"one circulant of {first.p}"
            if many == 1
            else f"{first.q1} × {first.q2} circulant blocks of {first.p}"
        )
        if first.padded:
            words += ", padded where they do not divide"
        if later:
            q, p = later[0].q1, later[0].p
            size = f"{d_out} × {d_out}" if q == 1 else f"{q} × {q} blocks of {p}"
            words += f", then {len(later) if len(later) > 1 else 'one'} more of {size}"
        diagonals = "two" if method.m == 2 else str(method.m)
        drawn.append(
            f"<figure>{block_layout.svg(first)}<figcaption><b>{names}</b>, {total} of {d_out} × {d_in}:"
            f"<br>{words}, between {diagonals} diagonals</figcaption></figure>"
        )
    rest = len(by_shape) - MAX_SHAPES
    return "".join(drawn) + (f'<p class="quiet">and {rest} more shapes</p>' if rest > 0 else "")
