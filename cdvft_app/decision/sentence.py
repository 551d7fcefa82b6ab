"""The answer in one sentence: whom to take, why, its file, who fits, and what is known of its time."""

from __future__ import annotations

from collections.abc import Sequence

from cdvft_app.costs.devices import Device
from cdvft_app.costs.quantities import Row, amount
from cdvft_app.costs.request import CostRequest
from cdvft_app.costs.sentences import joined, label
from cdvft_app.decision.choice import Choice, Known, choose, rival, times_smaller
from cdvft_app.decision.fit import precision_phrase, remedy
from cdvft_app.methods import ADAPTERS
from cdvft_app.methods.flat import method_of
from cdvft_app.shapes import ModelShapes


def sentence(rows: Sequence[Row], known: Known, request: CostRequest, shapes: ModelShapes, on: Device) -> str:
    """In whatever direction it speaks; where nothing fits, what would."""
    adapters = [row for row in rows if not row["unavailable"] and row["method"] in ADAPTERS]
    model = shapes.name.rpartition("/")[2]
    if not adapters:
        return f"None of these methods puts an adapter on {model}; choose one that does."
    held = precision_phrase(request.precision, request.gradient_checkpointing)
    fitting = [row for row in adapters if known.fits[row["method"]].word != "no"]
    if not fitting:
        row = min(adapters, key=lambda one: known.fits[one["method"]].memory.total)
        need = amount("bytes", known.fits[row["method"]].memory.total)
        return (
            f"Nothing fits: {model} in {held} needs {need}, and {on.phrase} {_has(on)}. "
            f"{remedy(method_of(row['method'], row['setting']), shapes, request, on)}"
        )
    choice = choose(request.aim, fitting, known)
    fit = [] if on.bytes is None else [_fit(fitting, adapters)]
    clauses = [choice.because, *_file(choice, fitting), *fit, _time(choice.row, known)]
    where = f"{label(choice.row)} for {model} on {on.phrase} in {held}"
    return f"{where}: {', '.join(clauses[:-1])}, and {clauses[-1]}."


def _has(on: Device) -> str:
    return f"has {amount('bytes', on.bytes or 0)}" if " with " not in on.phrase else "is smaller"


def _file(choice: Choice, rows: Sequence[Row]) -> list[str]:
    other = rival(choice.row, rows)
    if choice.says_file or other is None:
        return []
    return [f"{label(other)}'s file is {times_smaller(choice.row, other)}"]


def _fit(fitting: Sequence[Row], adapters: Sequence[Row]) -> str:
    if len(fitting) == len(adapters):
        return {1: "it fits", 2: "both fit"}.get(len(fitting), f"all {len(fitting)} fit")
    missing = [label(row) for row in adapters if row not in fitting]
    return f"{joined(missing)} {'does' if len(missing) == 1 else 'do'} not fit"


def _time(row: Row, known: Known) -> str:
    """Nothing is derived from FLOPs: only what was measured here, or learned from what was like it."""
    found = known.seconds.get(row["method"])
    if found is None:
        return "its step is not measured here"
    return f"its step takes {found.text} here"
