"""The Compare tab's cost comparison as its JSON payload: table, sentences, charts, growth, assumptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cdvft_app.costs.growth import growth
from cdvft_app.costs.quantities import MEASURED, QUANTITIES, Quantity, Row, amount, percent
from cdvft_app.costs.request import CostRequest
from cdvft_app.costs.sentences import label, sentences, winners
from cdvft_app.figures import cost_bars
from cdvft_app.judging.advice import StepSeconds, advice
from cdvft_app.measuring.comparison_times import Lookup, circumstances, file_row, measurement_text, timed_rows
from cdvft_app.payloads.compare import CostLine, Costs, UnavailableLine
from cdvft_app.shapes import model_shapes

_CONVENTIONS = {
    "real_fft": "counted as it runs, with real FFTs",
    "asymptotic": "counted in the style of papers",
}


def compare(
    request: CostRequest,
    lookup: Lookup = lambda row: None,
    too_large: Callable[[Row], str | None] = lambda row: None,
    step_seconds: StepSeconds = lambda row: None,
) -> Costs:
    """The page's view of a request.

    Args:
        request: what is compared.
        lookup: finds what was measured of a row of the cost table.
        too_large: says why a row cannot be measured on this machine.
        step_seconds: says what a row's step would take on this machine.

    Raises:
        InvalidChoice: with a sentence.
    """
    rows, matched = timed_rows(request, lookup)
    shapes = model_shapes(request.model, request.image_size)
    targets = request.targets or shapes.default_targets
    available = [row for row in rows if not row["unavailable"]]
    return {
        "request": request.model_dump(mode="json", exclude_none=True),
        "title": shapes.name,
        "subtitle": _subtitle(available, request, len(shapes.select(targets))),
        "targets": list(targets),
        "advice": [*matched, *advice(rows, step_seconds)],
        "sentences": sentences(rows),
        "winners": winners(rows),
        "columns": [
            {"key": quantity.key, "title": quantity.title, "hint": quantity.hint, "kind": quantity.kind}
            for quantity in QUANTITIES
        ],
        "table": [_line(row, too_large) for row in rows],
        "measured": circumstances(rows),
        "bars": {
            quantity.key: cost_bars.figure(_bars(quantity, available), quantity.title)
            for quantity in QUANTITIES
        },
        "growth": growth(rows, shapes, targets),
        "assumptions": list(dict.fromkeys(text for row in available for text in row["assumptions"])),
        "rows": [file_row(row) for row in rows],
    }


def _line(row: Row, too_large: Callable[[Row], str | None]) -> CostLine | UnavailableLine:
    if row["unavailable"]:
        return {"method": row["method"], "label": label(row), "unavailable": row["unavailable"]}
    values = {quantity.key: quantity.value(row) for quantity in QUANTITIES}
    refused = None if row["measured"] else too_large(row)
    return {
        "method": row["method"],
        "label": label(row),
        "unavailable": None,
        "texts": {
            quantity.key: amount(quantity.kind, value)
            for quantity in QUANTITIES
            if (value := values[quantity.key]) is not None
        },
        "hints": {quantity.key: _hint(quantity, row) for quantity in QUANTITIES},
        "refused": refused,
        "assumption": row["assumptions"][0],
    }


def _hint(quantity: Quantity, row: Row) -> str:
    """The cell's tooltip: the share of the frozen model's amount, or how a time was measured."""
    if quantity.key in MEASURED and not row["measured"]:
        return "Not measured on this machine yet."
    if quantity.key == "seconds":
        return measurement_text(row["measured"])
    value, yardstick = quantity.value(row), quantity.yardstick(row)
    if not (value and yardstick):
        return ""
    title = quantity.yardstick_title
    return f"{percent(value / yardstick)} of {title[:1].lower()}{title[1:]}"


def _bars(quantity: Quantity, rows: Sequence[Row]) -> list[cost_bars.Bar]:
    """The methods in order, then the yardstick; a method without a value is left out."""
    bars = [
        cost_bars.Bar(
            row["method"],
            label(row),
            value,
            amount(quantity.kind, value),
            _hint(quantity, row),
            **(
                {"low": row["measured"]["low"], "high": row["measured"]["high"]}
                if quantity.key == "seconds"
                else {}
            ),
        )
        for row in rows
        if (value := quantity.value(row))
    ]
    yardstick = next((value for row in rows if (value := quantity.yardstick(row))), None)
    if yardstick:
        text, title = amount(quantity.kind, yardstick), quantity.yardstick_title
        bars.append(cost_bars.Bar(None, "Frozen model", yardstick, text, title))
    return bars


def _subtitle(rows: Sequence[Row], request: CostRequest, layers: int) -> str:
    if not rows:
        return f"{layers} adapted layers"
    step = f"{rows[0]['batch']} × {rows[0]['sequence']} tokens a step"
    return f"{layers} adapted layers · {step} · {_CONVENTIONS[request.convention]}"
