"""A step's time where it is known on this machine: measured, or learned from what was like it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cdvft_app.costs.devices import HERE
from cdvft_app.costs.quantities import amount, duration
from cdvft_app.costs.request import CostRequest
from cdvft_app.prediction import Estimate

LONGEST = 60.0  # seconds; nobody trains a model whose steps take longer
StepSeconds = Callable[[Mapping[str, Any]], Estimate | None]


@dataclass(frozen=True)
class Seconds:
    value: float
    measured: bool
    hint: str

    @property
    def text(self) -> str:
        return amount("seconds", self.value) if self.measured else f"about {duration(self.value)}"


def known_seconds(
    rows: Sequence[Mapping[str, Any]], request: CostRequest, step_seconds: StepSeconds
) -> dict[str, Seconds]:
    """By method, for this machine in float32 alone: elsewhere nothing was measured."""
    if request.device != HERE or request.precision != "float32" or request.gradient_checkpointing:
        return {}
    found = {}
    for row in rows:
        if row["unavailable"]:
            continue
        if measured := row["measured"]:
            found[row["method"]] = Seconds(measured["seconds"], True, f"Measured on {measured['device']}.")
        elif learned := step_seconds(row):
            found[row["method"]] = Seconds(learned.value, False, f"Learned: {learned.how}.")
    return {} if any(one.value > LONGEST for one in found.values()) else found
