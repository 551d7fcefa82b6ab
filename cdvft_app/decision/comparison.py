"""The answer of the Decide page as its JSON payload: sentence, table, and what stands behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cdvft_app.costs.devices import GPUS, HERE, Device, device
from cdvft_app.costs.growth import GROWING, growth
from cdvft_app.costs.quantities import MEASURED, QUANTITIES, Quantity, Row, amount, percent
from cdvft_app.costs.request import CostRequest
from cdvft_app.costs.sentences import label, least, sentences
from cdvft_app.decision.choice import Known
from cdvft_app.decision.fit import Fit, fits
from cdvft_app.decision.quality import quality
from cdvft_app.decision.seconds import Seconds, StepSeconds, known_seconds
from cdvft_app.decision.sentence import sentence
from cdvft_app.figures import cost_bars
from cdvft_app.measuring.comparison_times import Lookup, circumstances, file_row, measurement_text, timed_rows
from cdvft_app.methods import ADAPTERS
from cdvft_app.payloads.compare import Answer, AskedMethod, Costs, GrowthCurves, MemoryTerm
from cdvft_app.payloads.compare import Device as ShownDevice
from cdvft_app.payloads.compare import Quantity as Described
from cdvft_app.shapes import ModelShapes, model_shapes

_CONVENTIONS = {
    "real_fft": "counted as it runs, with real FFTs",
    "asymptotic": "counted in the style of papers",
}
_COUNTED = {"bytes": "Adapter file", "parameters": "Trainable numbers", "flops": "Extra FLOPs"}
# What a step's bytes hold, in the order of `StepMemory`, and by what formula.
_TERMS = {
    "weights": ("Frozen weights", "bytes a weight in this precision, times the weights"),
    "adapter": ("Adapter", "4 bytes, times the trained numbers"),
    "gradients": ("Its gradient", "4 bytes, times the trained numbers"),
    "moments": ("AdamW's two moments", "8 bytes, times the trained numbers"),
    "adapter_inputs": ("Inputs that the adapter keeps", "by the method's own backward pass"),
    "activations": ("Activations of the model", "outputs of its layers, from the first adapted one on"),
    "logits": ("Logits and their loss", "tokens times the vocabulary"),
}


@dataclass(frozen=True)
class Decision:
    """What a request is answered: `sentence` and the table's rows; the rest is what they were made from."""

    sentence: str
    answers: list[Answer]
    rows: list[dict[str, Any]]
    known: Known
    shapes: ModelShapes
    matched: list[str]

    def facts(self) -> dict[str, Any]:
        """As the command line and the API give it."""
        methods = [label(row) for row in self.rows]
        rows = [file_row(row) for row in self.rows]
        return {"sentence": self.sentence, "methods": methods, "answers": self.answers, "rows": rows}


def decide(
    request: CostRequest,
    here_bytes: int | None = None,
    lookup: Lookup = lambda row: None,
    step_seconds: StepSeconds = lambda row: None,
) -> Decision:
    """The sentence and the table for a request.

    Args:
        request: the model, the step, the methods, the device, and what matters most.
        here_bytes: memory of this device; None: not known.
        lookup: finds what was measured of a row of the cost table.
        step_seconds: says what a row's step takes here, by what was like it; None where nothing was.

    Raises:
        InvalidChoice: with a sentence.
    """
    rows, matched = timed_rows(request, lookup)
    shapes, on = model_shapes(request.model, request.image_size), device(request.device, here_bytes)
    adapters = [row["method"] for row in rows if not row["unavailable"] and row["method"] in ADAPTERS]
    known = Known(
        fits(rows, shapes, request, on),
        known_seconds(rows, request, step_seconds),
        quality(shapes.kind, adapters),
    )
    said = sentence(rows, known, request, shapes, on)
    return Decision(said, _answers(rows, known, on), rows, known, shapes, matched)


def compare(
    request: CostRequest, too_large: Callable[[Row], str | None] = lambda row: None, **here: Any
) -> Costs:
    """The page's view of a request; `too_large`: why a row cannot be measured here. `here`: see `decide`."""
    made = decide(request, **here)
    rows, shapes = made.rows, made.shapes
    targets = request.targets or shapes.default_targets
    available = [row for row in rows if not row["unavailable"]]
    return {
        "request": request.model_dump(mode="json", exclude_none=True),
        "title": shapes.name,
        "subtitle": _subtitle(available, request, len(shapes.select(targets))),
        "sentence": made.sentence,
        "matched": made.matched,
        "methods": [_asked(row, too_large) for row in rows],
        "answers": made.answers,
        "memory": _terms(available, made.known.fits),
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


def _answers(rows: Sequence[Row], known: Known, on: Device) -> list[Answer]:
    """At most five: fit, file, numbers, FLOPs, and the step's time where it is known."""
    where = "Fits here" if on.key == HERE else f"Fits in {(on.bytes or 0) // 10**9} GB"
    if on.bytes is None:
        where = "Memory of a step"
    hint = (
        "What a step needs by formula, of the device's whole memory; barely: measured peaks were up to 25 % "
        "above it."
    )
    texts = {method: fit.text for method, fit in known.fits.items()}
    found = [_answer("fits", where, hint, rows, texts=texts, values={})]
    for key, title in _COUNTED.items():
        quantity = next(one for one in QUANTITIES if one.key == key)
        values = {row["method"]: quantity.value(row) or 0.0 for row in rows if not row["unavailable"]}
        texts = {method: amount(quantity.kind, value) for method, value in values.items()}
        found.append(_answer(key, title, quantity.hint, rows, texts=texts, values=values))
    if known.seconds:
        texts = {method: one.text for method, one in known.seconds.items()}
        values = {method: one.value for method, one in known.seconds.items() if one.measured}
        found.append(_answer("seconds", "Step time", _how(known.seconds), rows, texts=texts, values=values))
    return found


def _how(seconds: Mapping[str, Seconds]) -> str:
    return " ".join(dict.fromkeys(one.hint for one in seconds.values()))


def _answer(
    key: str,
    title: str,
    hint: str,
    rows: Sequence[Row],
    *,
    texts: Mapping[str, str],
    values: Mapping[str, float],
) -> Answer:
    """`values` say which adapter has least, and is marked, unless all are level."""
    adapters = [row for row in rows if row["method"] in values and row["method"] in ADAPTERS]
    best = least(adapters, lambda row: values[row["method"]]) if adapters else []
    if len(best) == len(adapters):
        best = []
    return {
        "key": key,
        "title": title,
        "hint": hint,
        "texts": [texts.get(row["method"]) for row in rows],
        "best": [row in best for row in rows],
    }


def _asked(row: Row, too_large: Callable[[Row], str | None]) -> AskedMethod:
    refused = None if row["unavailable"] or row["measured"] else too_large(row)
    return {
        "method": row["method"],
        "label": label(row),
        "unavailable": row["unavailable"],
        "refused": refused,
    }


def _terms(rows: Sequence[Row], found: Mapping[str, Fit]) -> list[MemoryTerm]:
    """The bytes of a step by what they hold, and their sum."""
    parts = {row["method"]: asdict(found[row["method"]].memory) for row in rows}
    terms: list[MemoryTerm] = [
        {
            "title": title,
            "formula": formula,
            "texts": [amount("bytes", parts[row["method"]][key]) for row in rows],
        }
        for key, (title, formula) in _TERMS.items()
    ]
    sums = [amount("bytes", found[row["method"]].memory.total) for row in rows]
    return [*terms, {"title": "In all", "formula": "without the program itself", "texts": sums}]


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
    step = f"{rows[0]['batch']:,} × {rows[0]['sequence']:,} tokens a step"
    counted = "" if request.convention == "real_fft" else f" · {_CONVENTIONS[request.convention]}"
    return f"{layers} adapted layers · {step}{counted}"
