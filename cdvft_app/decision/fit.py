"""Whether a step fits on a device, by how much, and the request that fits where the asked one does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cdvft_app.catalog.entries import KNOWN_MODELS
from cdvft_app.costs.request import PRECISIONS, CostRequest, Device
from cdvft_app.costs.table import cost_row
from cdvft_app.format import amount
from cdvft_app.methods import InvalidChoice, Method
from cdvft_app.prediction import MEMORY_FACTOR
from cdvft_app.shapes import ModelShapes, model_shapes

MIN_LENGTH = 64  # tokens; shorter texts are no answer


@dataclass(frozen=True)
class Fit:
    """A method's step on a device. `word`: "tight" where what was measured above the formula may not fit.

    `left` is None where the device's memory is not known.
    """

    total: int
    left: int | None
    word: Literal["yes", "tight", "no", "unknown"]

    @property
    def text(self) -> str:
        if self.left is None:
            return amount("bytes", self.total)
        if self.word == "no":
            return f"no, {amount('bytes', -self.left)} short"
        return f"{'barely' if self.word == 'tight' else 'yes'}, {amount('bytes', self.left)} left"


def fit(row: Mapping[str, Any], device: Device) -> Fit:
    """Return how an available row's step fits: surely if it does even at the largest measured excess."""
    total: int = row["step_bytes"]
    if device.bytes is None:
        return Fit(total, None, "unknown")
    left = device.bytes - total
    fits = total * MEMORY_FACTOR.high <= device.bytes
    return Fit(total, left, "yes" if fits else "tight" if left >= 0 else "no")


def precision_phrase(precision: str, checkpointing: bool) -> str:
    return PRECISIONS[precision].title + (" with checkpointing" if checkpointing else "")


@dataclass(frozen=True)
class Remedy:
    """A request that fits, and what was changed to it, each change with what it costs."""

    request: CostRequest
    changes: list[str]


def remedy(request: CostRequest, method: Method, device: Device) -> Remedy | None:
    """Return the request that fits on the device for this method, and costs least; None where none does.

    What costs least is tried first: smaller batches, whose gradients are summed to the same step; then
    checkpointing, which computes the forward pass twice; then fewer bits for the frozen weights; shorter
    texts, which lose what is cut, last. What surely fits is taken before what barely does.
    """
    barely = None
    for variant in _variants(request, method, device):
        if _word(variant, 1, method, device) == "no":
            continue
        for batch in _halved(request.batch):
            word = _word(variant, batch, method, device)
            asked = variant.model_copy(update={"batch": batch})
            if word == "yes":
                return Remedy(asked, _changes(request, asked))
            if word == "tight":
                barely = barely or asked
    return None if barely is None else Remedy(barely, _changes(request, barely))


def smaller_model(request: CostRequest, method: Method, shapes: ModelShapes, device: Device) -> str | None:
    """Return the largest known model of the same kind whose step surely fits, and how; None where none
    does."""
    known = [model_shapes(model.id) for model in KNOWN_MODELS]
    alike = [one for one in known if one.kind == shapes.kind]
    smaller = [one for one in alike if one.total_parameters < shapes.total_parameters]
    for one in sorted(smaller, key=lambda one: -one.total_parameters):
        asked = request.model_copy(update={"model": one.name, "targets": None, "image_size": None})
        leanest = asked.model_copy(update={"precision": "4bit", "gradient_checkpointing": True})
        try:
            if _word(asked, request.batch, method, device) == "yes":
                return f"{one.name}, which fits as asked"
            if _word(leanest, 1, method, device) == "yes":
                return f"{one.name}, which fits in {precision_phrase('4bit', True)}, one at a time"
        except InvalidChoice:  # a setting or a length that it does not take
            continue
    return None


def _word(request: CostRequest, batch: int, method: Method, device: Device) -> str:
    row = cost_row(request.model_copy(update={"batch": batch}), method)
    return "no" if row["unavailable"] else fit(row, device).word


def _variants(request: CostRequest, method: Method, device: Device) -> Iterator[CostRequest]:
    """Yield the request in ways that need less memory, the one that costs least first; batches are left
    alone.

    Checkpointing comes before fewer bits, and both before shorter texts. A device without bfloat16 is
    offered none.
    """
    keys = [*PRECISIONS]
    fewer = keys[keys.index(request.precision) + 1 :]
    keys = [request.precision, *(key for key in fewer if device.bfloat16 or key != "bfloat16")]
    lengths = [request.sequence]
    if model_shapes(request.model, request.image_size).tokens is None:
        length = cost_row(request, method)["sequence"]
        while (length := length // 2) >= MIN_LENGTH:
            lengths.append(length)
    for length in lengths:
        for precision in keys:
            for checkpointing in (False, True):
                if checkpointing >= request.gradient_checkpointing:
                    held = {"precision": precision, "gradient_checkpointing": checkpointing}
                    yield request.model_copy(update={"sequence": length, **held})


def _halved(batch: int) -> Iterator[int]:
    while batch:
        yield batch
        batch //= 2


def _changes(asked: CostRequest, answered: CostRequest) -> list[str]:
    found = []
    if answered.batch != asked.batch:
        found.append(f"{answered.batch} at a time, with the gradients of {asked.batch} summed to one step")
    if answered.gradient_checkpointing != asked.gradient_checkpointing:
        found.append("checkpointing, which computes the forward pass twice")
    if answered.precision != asked.precision:
        found.append(f"frozen weights in {PRECISIONS[answered.precision].title}")
    if answered.sequence != asked.sequence:
        found.append(f"texts cut after {answered.sequence} tokens")
    return found
