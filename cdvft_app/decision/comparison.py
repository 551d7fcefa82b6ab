"""The decision as the Decide page's JSON payload, and how costs grow with width, tokens and each method's
setting."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cdvft.cost import Cost, Shape
from cdvft_app.costs.memory import checkpointed
from cdvft_app.costs.quantities import QUANTITIES, Quantity, Row
from cdvft_app.costs.request import GPUS, CostRequest, Device
from cdvft_app.costs.sentences import label
from cdvft_app.costs.table import cost_table
from cdvft_app.decision.decide import decide
from cdvft_app.format import amount
from cdvft_app.measuring.comparison_times import Lookup, circumstances, file_row, timed_rows
from cdvft_app.methods import METHODS, Method, flat
from cdvft_app.payloads.compare import AskedMethod, Costs, Growth, GrowthCurves, GrowthLine, MemoryTerm
from cdvft_app.payloads.compare import Device as ShownDevice
from cdvft_app.payloads.compare import Quantity as Described
from cdvft_app.shapes import ModelShapes, model_shapes

GROWING = tuple(quantity for quantity in QUANTITIES if quantity.key in ("parameters", "flops", "memory"))
_WIDTHS = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)
_TOKENS = tuple(2**power for power in range(17))


@dataclass(frozen=True)
class _Axis:
    """An x-axis: its `values`, the current one (`at`), and a method's cost there, None where it has none.

    `rows` are drawn along it, with the settings that they have there.
    """

    key: str
    title: str
    at: float
    values: Sequence[int]
    note: str
    rows: Sequence[Row]
    estimate: Callable[[Row, int], Cost | None]
    short: str
    name: str


def growth(request: CostRequest, rows: Sequence[Row], shapes: ModelShapes) -> list[Growth]:
    """Return the curves of the growth chart, one entry an axis, of a request and its cost table's rows.

    Only adapters are drawn: head-only and full training have none of these settings. On an axis that is one
    method's own setting the others stay level. Along the width a setting that was left to the layers, as
    C3A's block size, follows them.
    """
    drawn = [
        (row, method)
        for row, method in zip(rows, request.methods, strict=True)
        if not row["unavailable"] and row["targets"]
    ]
    adapted = shapes.select(request.targets or shapes.default_targets)
    # Ranks may be given to a layer by its number, which layers that are counted together have lost.
    if not any("rank_pattern" in row["setting"] for row, _ in drawn):
        adapted = merged(adapted)
    as_asked = [
        row if request.match and method.matched_by else {**row, "setting": method.sizes()}
        for row, method in drawn
    ]
    axes = _axes([row for row, _ in drawn], as_asked, adapted)
    return [_growth_along(axis, shapes) for axis in axes]


def merged(shapes: Iterable[Shape]) -> tuple[Shape, ...]:
    """Equal layers grouped into one shape with a count: the same cost, computed faster.

    Only the size of the file's header, which holds every name, differs a little.
    """
    alike: dict[Shape, int] = {}
    for shape in shapes:
        ending = "" if shape.input_gradient else ": the first"
        source = _unnumbered(shape.source) + ending if shape.source else ""
        kind = replace(shape, name=_unnumbered(shape.name), count=1, source=source)
        alike[kind] = alike.get(kind, 0) + shape.count
    return tuple(replace(kind, count=count) for kind, count in alike.items())


def _unnumbered(name: str) -> str:
    return re.sub(r"\.\d+\.", ".", name)


def _axes(rows: Sequence[Row], as_asked: Sequence[Row], adapted: tuple[Shape, ...]) -> Iterable[_Axis]:
    if not rows:
        return
    tokens = rows[0]["batch"] * rows[0]["sequence"]
    side = max(max(shape.d_out, shape.d_in) for shape in adapted)

    def at_width(row: Row, width: int) -> Cost | None:
        wide = [replace(shape, d_out=width, d_in=width) for shape in adapted]
        return _cost(row, _method(row), wide, tokens)

    yield _Axis(
        "tokens",
        "Tokens a step, batch × length",
        tokens,
        _including(_TOKENS, tokens),
        "What is paid once a step stays level at few tokens and fades at many.",
        rows,
        lambda row, value: _cost(row, _method(row), adapted, value),
        short="tokens",
        name="Tokens",
    )
    yield _Axis(
        "width",
        "d, width of the layers",
        side,
        _including(_WIDTHS, side),
        "As if every adapted layer were d × d.",
        as_asked,
        at_width,
        short="d",
        name="Width d",
    )
    for key, method in METHODS.items():
        for axis in method.growth_axes(adapted):
            row = next((row for row in rows if row["method"] == key), None)
            if row is None:
                continue
            chosen = row["setting"][axis.setting] or min(side, max(axis.values))
            words = method.settings()[axis.setting]
            yield _Axis(
                method.flat_name(axis.setting),
                f"{words.symbol}, {method.title}'s {words.title}",
                chosen,
                _including(axis.values, chosen),
                axis.note,
                rows,
                lambda row, value, key=key, name=axis.setting: _cost(  # type: ignore[misc]
                    row, _method(row, **({name: value} if row["method"] == key else {})), adapted, tokens
                ),
                short=words.symbol,
                name=f"{method.title} {words.symbol}",
            )


def _including(values: Iterable[int], chosen: int) -> list[int]:
    return sorted({*values, chosen})


def _growth_along(axis: _Axis, model: ModelShapes) -> Growth:
    series: list[GrowthLine] = []
    for row in axis.rows:
        costs = [axis.estimate(row, value) for value in axis.values]
        lines = {
            quantity.key: [
                None if found is None else quantity.value(_as_row(found, row, model)) for found in costs
            ]
            for quantity in GROWING
        }
        series.append({"method": row["method"], "label": label(row), "costs": lines})
    return {
        "key": axis.key,
        "short": axis.short,
        "name": axis.name,
        "title": axis.title,
        "note": axis.note,
        "at": axis.at,
        "x": list(axis.values),
        "series": series,
    }


def _as_row(found: Cost, row: Row, model: ModelShapes) -> dict[str, Any]:
    """Return a cost with the fields of a cost table's row that the drawn quantities are read from."""
    kept = found.activation_bytes
    return asdict(found) | {
        "flops_per_step": found.flops_per_step,
        "adapter_weight_bytes": 4 * found.trainable_parameters,
        "activation_bytes": checkpointed(kept, model) if row["gradient_checkpointing"] else kept,
    }


def _method(row: Row, **change: int) -> Method:
    return flat.method_of(row["method"], row["setting"]).model_copy(update=change)


def _cost(row: Row, method: Method, shapes: Sequence[Shape], tokens: int) -> Cost | None:
    """Return the method's cost on these layers; None where its setting does not fit them."""
    try:
        # A step's cost depends on its tokens alone, for adapted layers see every one.
        return method.with_layer_defaults(shapes).estimate(
            shapes, batch=tokens, sequence=1, convention=row["convention"]
        )
    except ValueError:
        return None


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
    "logit_bytes": ("Logits and their loss", "12 bytes, times tokens and vocabulary"),
    "step_bytes": ("In all", "without the program itself"),
}


def compare(
    request: CostRequest, too_large: Callable[[Row], str | None] = lambda row: None, **here: Any
) -> Costs:
    """Return the page's view of a request; `too_large`: why a row cannot be measured here. `here`: see
    `decide`."""
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
        "columns": _described(QUANTITIES),
        "devices": [_device(one) for one in GPUS],
        "assumptions": list(dict.fromkeys(text for row in available for text in row["assumptions"])),
        "rows": [file_row(row) for row in rows],
    }


def grown(request: CostRequest, lookup: Lookup = lambda row: None) -> GrowthCurves:
    """Return how the costs of a request's methods grow; `lookup` and errors as of `decide`."""
    rows, _ = timed_rows(request, lookup)
    shapes = model_shapes(request.model, request.image_size)
    return {
        "title": shapes.name,
        "quantities": _described(GROWING),
        "growth": growth(request, rows, shapes),
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
    """Return the bytes of a step by what they hold, and their sum."""
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


def _subtitle(rows: Sequence[Row], request: CostRequest, layers: int) -> str:
    if not rows:
        return f"{layers} adapted layers"
    step = f"{rows[0]['batch']:,} × {rows[0]['sequence']:,} tokens a step"
    counted = "" if request.convention == "real_fft" else f" · {_CONVENTIONS[request.convention]}"
    return f"{layers} adapted layers · {step}{counted}"
