"""The decision as the Decide page's JSON payload, and how costs grow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cdvft_app.costs.devices import GPUS, Device
from cdvft_app.costs.growth import GROWING, growth
from cdvft_app.costs.quantities import MEASURED, QUANTITIES, Quantity, Row, amount, percent
from cdvft_app.costs.request import CostRequest
from cdvft_app.costs.sentences import label, sentences
from cdvft_app.costs.table import cost_table
from cdvft_app.decision.decide import decide
from cdvft_app.figures import cost_bars
from cdvft_app.measuring.comparison_times import Lookup, circumstances, file_row, measurement_text, timed_rows
from cdvft_app.payloads.compare import AskedMethod, Costs, GrowthCurves, MemoryTerm
from cdvft_app.payloads.compare import Device as ShownDevice
from cdvft_app.payloads.compare import Quantity as Described
from cdvft_app.shapes import model_shapes

_CONVENTIONS = {
    "real_fft": "counted as it runs, with real FFTs",
    "asymptotic": "counted in the style of papers",
}
# What a step's bytes hold, in the order of `StepMemory`, and by what formula.
_TERMS = {
    "frozen_bytes": ("Frozen weights", "bytes a weight in this precision, times the weights"),
    "adapter_weight_bytes": ("Adapter", "4 bytes, times the trained numbers"),
    "gradient_bytes": ("Its gradient", "4 bytes, times the trained numbers"),
    "optimizer_bytes": ("AdamW's two moments", "8 bytes, times the trained numbers"),
    "activation_bytes": ("Inputs that the adapter keeps", "by the method's own backward pass"),
    "model_activation_bytes": (
        "Activations of the model",
        "outputs of its layers, from the first adapted one on",
    ),
    "logit_bytes": ("Logits and their loss", "tokens times the vocabulary"),
    "step_bytes": ("In all", "without the program itself"),
}


def compare(
    request: CostRequest, too_large: Callable[[Row], str | None] = lambda row: None, **here: Any
) -> Costs:
    """The page's view of a request; `too_large`: why a row cannot be measured here. `here`: see `decide`."""
    made = decide(request, **here)
    # What Measure would measure is what is asked, not what is answered where that does not fit.
    measurable = cost_table(request.as_measured) if request.match != "seconds_per_step" else made.asked_rows
    rows, shapes, request = made.rows, made.shapes, made.request
    targets = request.targets or shapes.default_targets
    available = [row for row in rows if not row["unavailable"]]
    return {
        "request": request.model_dump(mode="json", exclude_none=True),
        "title": shapes.name,
        "subtitle": _subtitle(available, request, len(shapes.select(targets))),
        "sentence": made.sentence,
        "matched": made.matched,
        "methods": [
            _asked(row, None if row["unavailable"] or row["measured"] else too_large(measured))
            for row, measured in zip(rows, measurable, strict=True)
        ],
        "answers": made.answers,
        "memory": _terms(available),
        "measured": circumstances(rows),
        "sentences": sentences(rows) | {"quality": made.known.quality.sentences},
        "columns": _described(QUANTITIES),
        "bars": {
            quantity.key: cost_bars.figure(_bars(quantity, available), quantity.title)
            for quantity in QUANTITIES
        },
        "devices": [_device(one) for one in GPUS],
        "assumptions": list(dict.fromkeys(text for row in available for text in row["assumptions"])),
        "rows": [file_row(row) for row in rows],
    }


def grown(request: CostRequest, lookup: Lookup = lambda row: None) -> GrowthCurves:
    """How the costs of a request's methods grow; `lookup` and errors as of `decide`."""
    rows, _ = timed_rows(request, lookup)
    shapes = model_shapes(request.model, request.image_size)
    return {
        "title": shapes.name,
        "quantities": _described(GROWING),
        "growth": growth(rows, shapes, request.targets or shapes.default_targets),
    }


def _described(quantities: Sequence[Quantity]) -> list[Described]:
    return [{"key": one.key, "title": one.title, "hint": one.hint, "kind": one.kind} for one in quantities]


def _asked(row: Row, refused: str | None) -> AskedMethod:
    return {
        "method": row["method"],
        "label": label(row),
        "unavailable": row["unavailable"],
        "refused": refused,
    }


def _terms(rows: Sequence[Row]) -> list[MemoryTerm]:
    """The bytes of a step by what they hold, and their sum."""
    return [
        {"title": title, "formula": formula, "texts": [amount("bytes", row[key]) for row in rows]}
        for key, (title, formula) in _TERMS.items()
    ]


def _device(one: Device) -> ShownDevice:
    return {
        "title": one.title,
        "bandwidth": f"{(one.bandwidth or 0) / 1e9:,.0f} GB/s",
        "bfloat16": "yes" if one.bfloat16 else "no, float16 alone",
        "source": one.source,
    }


def _hint(quantity: Quantity, row: Row) -> str:
    """A bar's tooltip: the share of the frozen model's amount, or how a time was measured."""
    if quantity.key in MEASURED and not row["measured"]:
        return "Not measured on this machine yet."
    if quantity.key == "seconds":
        return measurement_text(row["measured"])
    value, baseline = quantity.value(row), quantity.baseline(row)
    if not (value and baseline):
        return ""
    title = quantity.baseline_title
    return f"{percent(value / baseline)} of {title[:1].lower()}{title[1:]}"


def _bars(quantity: Quantity, rows: Sequence[Row]) -> list[cost_bars.Bar]:
    """The methods in order, then the baseline; a method without a value is left out."""
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
    baseline = next((value for row in rows if (value := quantity.baseline(row))), None)
    if baseline:
        text, title = amount(quantity.kind, baseline), quantity.baseline_title
        bars.append(cost_bars.Bar(None, "Frozen model", baseline, text, title))
    return bars


def _subtitle(rows: Sequence[Row], request: CostRequest, layers: int) -> str:
    if not rows:
        return f"{layers} adapted layers"
    step = f"{rows[0]['batch']:,} × {rows[0]['sequence']:,} tokens a step"
    counted = "" if request.convention == "real_fft" else f" · {_CONVENTIONS[request.convention]}"
    return f"{layers} adapted layers · {step}{counted}"
