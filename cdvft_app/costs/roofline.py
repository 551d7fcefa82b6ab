"""One adapted layer by engine: what it moves and multiplies, what that takes at least, and as measured."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from cdvft.blocks import partitions
from cdvft.cost import Shape
from cdvft.cost.roofline import Work, frozen, fused, merged
from cdvft_app import ASSETS
from cdvft_app.catalog import libraries
from cdvft_app.costs.request import GPUS, HERE, CostRequest, Device, device, named
from cdvft_app.costs.table import cost_row
from cdvft_app.format import amount
from cdvft_app.payloads.compare import Engine, Roofline
from cdvft_app.shapes import model_shapes

FILE = ASSETS / "gpu.json"  # written by `make gpu`; absent until a GPU has run it
COLUMNS = ["Engine", "FLOPs", "Memory traffic", "At least", "Limit", "Measured"]
_KEYS = {"frozen": "base", "fused": "cdvft, fused, transforms", "merged": "cdvft, merged"}
"""By what a record calls them: the engine of "merged" does not matter."""


def roofline(request: CostRequest) -> Roofline:
    """Return the kind of adapted layer that holds most of the model's weights, in half precision.

    Raises:
        InvalidChoice: the model or its targets cannot be.
    """
    libraries.load()  # the kernels' plans are torch's neighbours
    row = cost_row(request, request.reference)
    shapes = model_shapes(request.model, request.image_size)
    layer = max(shapes.select(request.targets or shapes.default_targets), key=lambda s: s.weights * s.count)
    tokens = row["batch"] if layer.pooled else row["batch"] * row["sequence"]
    record = _record()
    recorded = named(record["device"]) if record else None
    on = (recorded or GPUS[-1]) if request.device == HERE else device(request.device)
    # Times stand beside the limit of the device that took them, and beside no other.
    seconds = _measured(record, layer, tokens) if record and on == recorded else None
    size, dtype = (layer.d_out, layer.d_in, tokens), "bfloat16" if on.bfloat16 else "float16"
    return {
        "title": f"{layer.d_in} → {layer.d_out}, {tokens:,} tokens, {dtype}",
        "rates": _RATES.format(on.title, amount("bytes", on.bandwidth or 0), (on.half or 0) / 1e12),
        "columns": COLUMNS,
        "engines": [
            _engine("Frozen layer", frozen(*size), on, seconds, "frozen"),
            _engine("CDVFT, fused kernel", _fused(request, layer, tokens, on), on, seconds, "fused"),
            _engine("CDVFT, W + ΔW merged", merged(*size), on, seconds, "merged"),
        ],
        "measured_on": f"Measured on: {record['device']}, {record['recorded']}."
        if record and seconds
        else "",
        "unmeasured": "" if seconds else _why(record, recorded, on, size),
    }


_RATES = (
    "At least: on {}, if {} a second and {:.0f}\u00a0TFLOP/s by its data sheet were all that took time. "
    "Each byte counts once, a launch not at all."
)


def _fused(request: CostRequest, layer: Shape, tokens: int, on: Device) -> Work | None:
    """Return the work of the fused kernel; None where it takes no such circulants, or the device is too
    old."""
    from cdvft.kernels.fused import MAX_WASTE
    from cdvft.kernels.fused.plan import plan_for

    method: Any = request.reference
    work = frozen(layer.d_out, layer.d_in, tokens)
    for part in partitions(layer.d_out, layer.d_in, method.m, method.block_size):
        plan = plan_for(part.p)
        if not on.bfloat16 or plan is None or (part.q1 * part.q2 > 1 and plan.waste > MAX_WASTE):
            return None
        work += fused(part, tokens, plan.flops)
    return work


def _engine(
    title: str, work: Work | None, on: Device, seconds: Mapping[str, float] | None, key: str
) -> Engine:
    if work is None:
        return {"texts": [title, *["–"] * 3, "cannot serve", "–"], "least": None, "measured": None}
    memory, products = work.seconds(on.bandwidth or math.inf, on.half or math.inf)
    least, measured = max(memory, products), (seconds or {}).get(key)
    texts = [
        title,
        amount("flops", work.flops),
        amount("bytes", work.bytes),
        _micro(least),
        "memory" if memory > products else "products",
        "–" if measured is None else _micro(measured),
    ]
    return {"texts": texts, "least": least, "measured": measured}


def _micro(seconds: float) -> str:
    return f"{1e6 * seconds:,.3g} µs" if seconds < 9.995e-4 else amount("seconds", seconds)


def _record() -> dict[str, Any] | None:
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else None


def _measured(record: Mapping[str, Any], layer: Shape, tokens: int) -> dict[str, float] | None:
    """Seconds of a pass of a recorded layer of this shape, on as many tokens to the nearest power of two."""
    for one in record["layers"]:
        same = (one["d_in"], one["d_out"], one["dtype"]) == (layer.d_in, layer.d_out, "torch.bfloat16")
        if same and round(math.log2(one["tokens"])) == round(math.log2(tokens)):
            named = {"cdvft, merged" if k.endswith(", merged") else k: s for k, s in one["seconds"].items()}
            return {key: named[name] for key, name in _KEYS.items() if name in named}
    return None


def _why(
    record: Mapping[str, Any] | None, recorded: Device | None, on: Device, size: tuple[int, int, int]
) -> str:
    if record is None:
        return "Nothing is measured: no GPU has run these kernels yet. On one, make gpu records it."
    if on != recorded:
        return f"{record['device']} was measured, and no {on.title}."
    d_out, d_in, tokens = size
    return f"{record['device']} was measured, but not on {d_in} → {d_out} with {tokens:,} tokens."
