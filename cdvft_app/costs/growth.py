"""How cost grows with the width, the tokens of a step, and each method's own setting."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cdvft import cost
from cdvft.cost import Cost, Shape
from cdvft_app.costs.quantities import QUANTITIES, Row
from cdvft_app.payloads.compare import Growth
from cdvft_app.shapes import ModelShapes

GROWING = tuple(quantity for quantity in QUANTITIES if quantity.key in ("parameters", "flops", "memory"))
_ESTIMATED = {
    "m": "m",
    "block_size": "block_size",
    "lora_r": "r",
    "fourierft_n": "n",
    "c3a_block_size": "block_size",
}
_WIDTHS = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)
_TOKENS = tuple(2**power for power in range(17))
_MOST_BLOCKS = 2**14


@dataclass(frozen=True)
class _Axis:
    """A quantity that varies; `estimate` gives a method's cost there, None where there is none."""

    key: str
    title: str
    at: float
    values: Sequence[int]
    note: str
    estimate: Callable[[Row, int], Cost | None]


def growth(rows: Sequence[Row], shapes: ModelShapes, targets: tuple[str, ...]) -> list[Growth]:
    """One entry an axis.

    Only adapters grow: head-only and full training have none of these settings. On an axis that is one
    method's own setting the others stay level.
    """
    adapted = merged(shapes.select(targets))
    known = [row for row in rows if not row["unavailable"] and row["targets"]]
    return [_drawn(axis, known) for axis in _axes(known, adapted)]


def merged(shapes: Iterable[Shape]) -> tuple[Shape, ...]:
    """The same layers with those that are alike counted together: the same cost, found faster.

    Only the file's header, which holds every name, comes out a little different.
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


def _axes(rows: Sequence[Row], adapted: tuple[Shape, ...]) -> Iterable[_Axis]:
    if not rows:
        return
    tokens = rows[0]["batch"] * rows[0]["sequence"]
    side = max(max(shape.d_out, shape.d_in) for shape in adapted)

    def at_width(row: Row, width: int) -> Cost | None:
        if row["method"] == "c3a":
            row = {**row, "setting": {}}  # each width has its own greatest common divisor
        return _cost(row, [replace(shape, d_out=width, d_in=width) for shape in adapted], tokens)

    yield _Axis(
        "tokens",
        "Tokens a step, batch × length",
        tokens,
        _with(_TOKENS, tokens),
        "What is paid once a step stays level at few tokens and fades at many.",
        lambda row, value: _cost(row, adapted, value),
    )
    yield _Axis(
        "width",
        "d, width of the layers",
        side,
        _with(_WIDTHS, side),
        "As if every adapted layer were d × d.",
        at_width,
    )
    for method, name, title, values, note in _settings(adapted):
        row = next((row for row in rows if row["method"] == method), None)
        if row is None:
            continue
        chosen = row["setting"][name] or min(side, max(values))
        yield _Axis(
            name,
            title,
            chosen,
            _with(values, chosen),
            note,
            lambda row, value, method=method, name=name: _cost(  # type: ignore[misc]
                row, adapted, tokens, {name: value} if row["method"] == method else {}
            ),
        )


def _settings(adapted: tuple[Shape, ...]) -> Iterable[tuple[str, str, str, Sequence[int], str]]:
    """Method, setting, title, values to draw, and a note."""
    sizes = [size for shape in adapted for size in (shape.d_out, shape.d_in)]
    entries = min(shape.weights for shape in adapted)
    yield "cdvft", "m", "m, CDVFT's diagonal vectors", range(2, 9), "Two more vectors for each further m."
    blocks = [2**power for power in range(4, 15) if 2**power <= max(sizes)]
    blocks = [p for p in blocks if all((s.d_out // p) * (s.d_in // p) <= _MOST_BLOCKS for s in adapted)]
    note = "Smaller blocks hold more numbers; shorter transforms, but more products of their spectra."
    yield "cdvft", "block_size", "p, CDVFT's block size", sorted({*blocks, math.gcd(*sizes)}), note
    ranks = [2**power for power in range(10) if 2**power <= min(sizes)]
    yield "lora", "lora_r", "r, LoRA's rank", ranks, "Everything LoRA pays is proportional to its rank."
    counts = [count for exponent in range(1, 7) for count in (10**exponent, 3 * 10**exponent)]
    note = "Its parameters are n; its FLOPs are the same whatever n is, for the change is built densely."
    yield "fourierft", "fourierft_n", "n, FourierFT's entries", [c for c in counts if c <= entries], note


def _with(values: Iterable[int], chosen: int) -> list[int]:
    return sorted({*values, chosen})


def _drawn(axis: _Axis, rows: Sequence[Row]) -> Growth:
    series: dict[str, dict[str, list[float | None]]] = {}
    for row in rows:
        costs = [axis.estimate(row, value) for value in axis.values]
        series[row["method"]] = {
            quantity.key: [None if found is None else quantity.value(with_sums(found)) for found in costs]
            for quantity in GROWING
        }
    return {
        "key": axis.key,
        "title": axis.title,
        "note": axis.note,
        "at": axis.at,
        "x": list(axis.values),
        "series": series,
    }


def with_sums(found: Cost) -> dict[str, Any]:
    """A cost with the sums that are properties, as a row has them."""
    sums = ("flops_per_step", "activation_bytes")
    return asdict(found) | {name: getattr(found, name) for name in sums}


def _cost(
    row: Row, shapes: Sequence[Shape], tokens: int, change: dict[str, int] | None = None
) -> Cost | None:
    """None where the method's setting does not fit the layers."""
    given = {
        _ESTIMATED[name]: value
        for name, value in {**row["setting"], **(change or {})}.items()
        if value is not None
    }
    try:
        # A step's cost depends on its tokens alone, for adapted layers see every one.
        return cost.estimate(
            row["method"], shapes, batch=tokens, sequence=1, convention=row["convention"], **given
        )
    except ValueError:
        return None
