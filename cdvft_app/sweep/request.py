"""A sweep: one race's settings, with lists in place of single values, crossed method by method.

A method is crossed only with what it uses: `m` says nothing to LoRA, and a run that differs from another in
nothing but an unused number would be the same run twice.
"""

from __future__ import annotations

import re
from itertools import product
from math import prod
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cdvft_app import catalog
from cdvft_app.settings import DIMENSIONS, InvalidChoice, Method, RaceRequest, RunSettings, explain

MOST_VALUES = 12
MOST_GRID = 1000  # a bound on the work of checking a request; the queue's own limit is far lower

Whole = Annotated[int, Field(ge=1, strict=True)]
Multiple = Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)]
Value = TypeVar("Value")


class SweepRequest(BaseModel):
    """What to vary around `base`.

    `base` is the race whose recipe, data, budget and methods all runs share; a list that is empty leaves its
    value. `learning_rates` are multiples of each method's own rate (the base's, else the recipe's): rates of
    different methods differ by a factor of fifty, so one list of absolute rates would be fair to none.
    Ranges of the single values are those of `RunSettings`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: RaceRequest
    m: tuple[Whole, ...] = Field((), max_length=MOST_VALUES)
    block_size: tuple[Whole, ...] = Field((), max_length=MOST_VALUES)
    lora_r: tuple[Whole, ...] = Field((), max_length=MOST_VALUES)
    fourierft_n: tuple[Whole, ...] = Field((), max_length=MOST_VALUES)
    c3a_block_size: tuple[Whole, ...] = Field((), max_length=MOST_VALUES)
    learning_rates: tuple[Multiple, ...] = Field((), max_length=MOST_VALUES)
    seeds: tuple[Seed, ...] = Field((), max_length=MOST_VALUES)

    @field_validator(*DIMENSIONS, "seeds")
    @classmethod
    def _no_value_twice(cls, values: tuple[Value, ...]) -> tuple[Value, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"{', '.join(map(str, values))} names a value twice; name each once")
        return values

    @model_validator(mode="after")
    def _not_too_many(self) -> SweepRequest:
        if self.count() > MOST_GRID:
            raise ValueError(
                f"these lists make {self.count():,} runs; at most {MOST_GRID:,} can be asked for"
            )
        return self

    def count(self) -> int:
        """How many runs the grid has."""
        a_seed = sum(
            prod(len(getattr(self, name)) or 1 for name in _used_by(method)) for method in self.base.methods
        )
        return a_seed * (len(self.seeds) or 1)

    def runs(self) -> tuple[RunSettings, ...]:
        """All runs, the first seed's first: a sweep that is cut off is a whole smaller one.

        Raises:
            InvalidChoice: there is no such recipe, or a value is out of its range.
        """
        rates = dict(catalog.get_recipe(self.base.recipe).learning_rates) | self.base.learning_rates
        shared = self.base.model_dump(exclude={"methods", "learning_rates", "seed"})
        made = []
        for seed in self.seeds or (self.base.seed,):
            for method in self.base.methods:
                for values in self._crossed(method):
                    multiple = values.pop("learning_rates", 1.0)
                    chosen = {
                        "seed": seed,
                        "method": method,
                        "learning_rate": _times(rates[method], multiple),
                    }
                    made.append(_settings(shared | chosen | values))
        return tuple(made)

    def _crossed(self, method: Method) -> list[dict[str, Any]]:
        varied = [name for name in _used_by(method) if getattr(self, name)]
        grid = product(*(getattr(self, name) for name in varied))
        return [dict(zip(varied, values, strict=True)) for values in grid]


def parse_sweep(values: object) -> SweepRequest:
    """A `SweepRequest` from JSON-like values, or `InvalidChoice` with a sentence for each problem."""
    if not isinstance(values, dict):
        raise InvalidChoice(
            f'A sweep must be one object such as {{"m": [2, 3]}}; got {type(values).__name__}.'
        )
    try:
        return SweepRequest.model_validate(values)
    except ValidationError as error:
        raise InvalidChoice(explain(error, SweepRequest)) from None


def numbers(typed: str) -> list[Any]:
    """ "2, 3 4.5" as [2, 3, 4.5]; what is no number stays text, which the request's check quotes."""
    return [_number(part) for part in re.split(r"[,;\s]+", typed.strip()) if part]


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            found = kind(text)
        except ValueError:
            continue
        return int(found) if isinstance(found, float) and found.is_integer() else found
    return text


def _used_by(method: Method) -> list[str]:
    return [name for name, user in DIMENSIONS.items() if user in (None, method)]


def _times(rate: float, multiple: float) -> float:
    """Three significant digits, so that 0.1 times 3 is 0.3 and one run is not made twice."""
    return float(f"{rate * multiple:.3g}")


def _settings(values: dict[str, Any]) -> RunSettings:
    try:
        return RunSettings.model_validate(values)
    except ValidationError as error:
        raise InvalidChoice(explain(error)) from None
