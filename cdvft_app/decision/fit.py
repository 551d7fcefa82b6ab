"""Whether a step fits on a device, by how much, and in what precision it would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cdvft_app.costs.devices import Device
from cdvft_app.costs.memory import PRECISIONS, StepMemory, step_memory
from cdvft_app.costs.quantities import amount
from cdvft_app.costs.request import CostRequest
from cdvft_app.costs.table import cost_table
from cdvft_app.methods import Method
from cdvft_app.prediction import GROWTH
from cdvft_app.shapes import ModelShapes

PRECISION_TITLES = {"float32": "float32", "bfloat16": "bfloat16", "8bit": "8 bit", "4bit": "4 bit"}


Word = Literal["yes", "tight", "no", "unknown"]


@dataclass(frozen=True)
class Fit:
    """A method's step on a device. `word`: "tight" where what was measured above the formula may not fit.

    `left` is None where the device's memory is not known.
    """

    memory: StepMemory
    left: int | None
    word: Word

    @property
    def text(self) -> str:
        if self.left is None:
            return amount("bytes", self.memory.total)
        if self.word == "no":
            return f"no, {amount('bytes', -self.left)} short"
        return f"{'barely' if self.word == 'tight' else 'yes'}, {amount('bytes', self.left)} left"


def fits(
    rows: Sequence[Mapping[str, Any]], shapes: ModelShapes, request: CostRequest, device: Device
) -> dict[str, Fit]:
    """By method, of the rows that are available."""
    found = {}
    for row in rows:
        if row["unavailable"]:
            continue
        memory = step_memory(row, shapes, PRECISIONS[request.precision], request.gradient_checkpointing)
        if device.bytes is None:
            found[row["method"]] = Fit(memory, None, "unknown")
            continue
        left = device.bytes - memory.total
        word: Word = "yes" if _surely_fits(memory.total, device) else "tight" if left >= 0 else "no"
        found[row["method"]] = Fit(memory, left, word)
    return found


def _surely_fits(total: int, device: Device) -> bool:
    """Even if it takes as much more than the formula's bytes as was measured at most."""
    return total * GROWTH.high <= (device.bytes or 0)


def precision_phrase(precision: str, checkpointing: bool) -> str:
    return PRECISION_TITLES[precision] + (" with checkpointing" if checkpointing else "")


def remedy(method: Method, shapes: ModelShapes, request: CostRequest, device: Device) -> str:
    """The first cheaper way to hold this method's step that surely fits on the device, as a sentence."""
    for precision, checkpointing, batch in _cheaper(request):
        asked = request.model_copy(update={"batch": batch, "methods": (method,), "match": None})
        (row,) = cost_table(asked)
        total = step_memory(row, shapes, PRECISIONS[precision], checkpointing).total
        if _surely_fits(total, device):
            what = "it" if batch == request.batch else f"a batch of {batch}"
            held = precision_phrase(precision, checkpointing)
            return f"In {held} {what} takes {amount('bytes', total)}, and fits."
    return "Nor would it in 4 bit with checkpointing and a batch of 1: take a smaller model."


def _cheaper(request: CostRequest) -> Iterator[tuple[str, bool, int]]:
    """Precisions from the chosen one on, each without and with checkpointing; then smaller batches."""
    keys = [*PRECISIONS]
    for precision in keys[keys.index(request.precision) :]:
        for checkpointing in (False, True):
            if checkpointing >= request.gradient_checkpointing:
                yield precision, checkpointing, request.batch
    batch = request.batch
    while batch := batch // 2:
        yield keys[-1], True, batch
