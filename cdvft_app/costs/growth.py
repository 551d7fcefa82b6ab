"""How cost grows with the width, the tokens of a step, and each method's own setting."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cdvft.cost import Cost, Shape
from cdvft_app.costs.memory import checkpointed
from cdvft_app.costs.quantities import QUANTITIES, Row
from cdvft_app.costs.sentences import label
from cdvft_app.methods import METHODS, Method, flat
from cdvft_app.payloads.compare import Growth, GrowthLine
from cdvft_app.shapes import ModelShapes

GROWING = tuple(quantity for quantity in QUANTITIES if quantity.key in ("parameters", "flops", "memory"))
_WIDTHS = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)
_TOKENS = tuple(2**power for power in range(17))


@dataclass(frozen=True)
class _Axis:
    """An x-axis: its `values`, the current one (`at`), and a method's cost there, None where it has none."""

    key: str
    title: str
    at: float
    values: Sequence[int]
    note: str
    estimate: Callable[[Row, int], Cost | None]
    short: str
    name: str


def growth(rows: Sequence[Row], shapes: ModelShapes, targets: tuple[str, ...]) -> list[Growth]:
    """The curves of the growth chart, one entry an axis.

    Only adapters are drawn: head-only and full training have none of these settings. On an axis that is one
    method's own setting the others stay level.
    """
    adapted = merged(shapes.select(targets))
    available = [row for row in rows if not row["unavailable"] and row["targets"]]
    return [_growth_along(axis, available, shapes) for axis in _axes(available, adapted)]


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


def _axes(rows: Sequence[Row], adapted: tuple[Shape, ...]) -> Iterable[_Axis]:
    if not rows:
        return
    tokens = rows[0]["batch"] * rows[0]["sequence"]
    side = max(max(shape.d_out, shape.d_in) for shape in adapted)

    def at_width(row: Row, width: int) -> Cost | None:
        wide = [replace(shape, d_out=width, d_in=width) for shape in adapted]
        return _cost(row, _method(row).without_layer_defaults(), wide, tokens)

    yield _Axis(
        "tokens",
        "Tokens a step, batch × length",
        tokens,
        _including(_TOKENS, tokens),
        "What is paid once a step stays level at few tokens and fades at many.",
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
                lambda row, value, key=key, name=axis.setting: _cost(  # type: ignore[misc]
                    row, _method(row, **({name: value} if row["method"] == key else {})), adapted, tokens
                ),
                short=words.symbol,
                name=f"{method.title} {words.symbol}",
            )


def _including(values: Iterable[int], chosen: int) -> list[int]:
    return sorted({*values, chosen})


def _growth_along(axis: _Axis, rows: Sequence[Row], model: ModelShapes) -> Growth:
    series: list[GrowthLine] = []
    for row in rows:
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
    """A cost with the fields of a cost table's row that the drawn quantities are read from."""
    kept = found.activation_bytes
    return asdict(found) | {
        "flops_per_step": found.flops_per_step,
        "adapter_weight_bytes": 4 * found.trainable_parameters,
        "activation_bytes": checkpointed(kept, model) if row["gradient_checkpointing"] else kept,
    }


def _method(row: Row, **change: int) -> Method:
    return flat.method_of(row["method"], row["setting"]).model_copy(update=change)


def _cost(row: Row, method: Method, shapes: Sequence[Shape], tokens: int) -> Cost | None:
    """None where the method's setting does not fit the layers."""
    try:
        # A step's cost depends on its tokens alone, for adapted layers see every one.
        return method.with_layer_defaults(shapes).estimate(
            shapes, batch=tokens, sequence=1, convention=row["convention"]
        )
    except ValueError:
        return None
