"""A sweep's request: one race's settings, with lists in place of single values, crossed method by method.

A method is crossed only with its own settings: LoRA has no `m`, and two runs that differ in nothing but a
number that is not used would be the same run twice.
"""

from __future__ import annotations

import re
from itertools import product
from math import prod
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from cdvft_app import catalog
from cdvft_app.methods import METHODS, Method, flat
from cdvft_app.settings import (
    NO_EARLY_STOPPING,
    RaceRequest,
    RunSettings,
    parse_request,
    parse_run,
    typed_number,
)

MAX_VALUES = 12
MAX_GRID = 1000  # a bound on the work of checking a request; the queue's own limit is far lower
Value = TypeVar("Value")


def _distinct(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """Return the same values; a ValueError where one is among them twice."""
    if len(set(values)) < len(values):
        raise ValueError("it names a value twice; name each once")
    return values


Whole = Annotated[int, Field(strict=True)]  # each method has bounds of its own
Multiple = Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False)]
Distinct = Annotated[tuple[Value, ...], Field(max_length=MAX_VALUES), AfterValidator(_distinct)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)]


class VariedRace(BaseModel):
    """A race and what is varied around it.

    `base` is the race whose recipe, data, budget and methods all runs share. `vary` has lists of a method's
    sizes, such as {"lora": {"r": [2, 8]}}; a list that is empty leaves its value. Ranges of the single values
    are those of the methods.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: RaceRequest
    vary: dict[str, dict[str, Distinct[Whole]]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _accept_flat_names(cls, values: Any) -> Any:
        return flat.read_sweep(values)

    @field_validator("vary")
    @classmethod
    def _only_sizes(
        cls, vary: dict[str, dict[str, tuple[int, ...]]]
    ) -> dict[str, dict[str, tuple[int, ...]]]:
        for key, lists in vary.items():
            if key not in METHODS:
                raise ValueError(f"there is no method {key[:40]!r}; choose of {', '.join(METHODS)}")
            sizes = [name for name, one in METHODS[key].settings().items() if one.size]
            if any(name not in sizes for name in lists):
                raise ValueError(f"of {METHODS[key].title} it can vary {', '.join(sizes) or 'nothing'}")
        return vary


class SweepRequest(VariedRace):
    """A grid: every value with every other one.

    `learning_rates` are multiples of each method's own rate (the base's, else the recipe's): rates of
    different methods differ by a factor of fifty, so one list of absolute rates would be fair to none.
    """

    learning_rates: Distinct[Multiple] = Field(
        (),
        title="Learning rate, times its own",
        description="Multiples of the rate that the recipe has for each method: fair to all of them.",
    )
    seeds: Distinct[Seed] = Field(
        (),
        title="Seeds",
        description="Each setting runs once with each: their spread is what chance does.",
    )

    @field_validator("learning_rates")
    @classmethod
    def _apart(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if len({rounded(value) for value in values}) < len(values):
            raise ValueError("two of the rates are the same to three digits; choose rates further apart")
        return values

    @model_validator(mode="after")
    def _not_too_many(self) -> SweepRequest:
        if self.count() > MAX_GRID:
            raise ValueError(f"these lists make {self.count():,} runs; at most {MAX_GRID:,} can be asked for")
        return self

    def count(self) -> int:
        """Return the number of runs in the grid."""
        per_seed = sum(
            prod(map(len, self._varied(method).values())) * (len(self.learning_rates) or 1)
            for method in self.base.methods
        )
        return per_seed * (len(self.seeds) or 1)

    def runs(self) -> tuple[RunSettings, ...]:
        """Return all runs, the first seed's first, so that a sweep that is stopped early is a complete
        smaller one.

        Raises:
            InvalidChoice: there is no such recipe, or a value is out of its range.
        """
        rates = catalog.get_recipe(self.base.recipe).learning_rates
        shared = self.base.model_dump(exclude={"methods", "seed"}) | NO_EARLY_STOPPING
        runs = [
            parse_run(shared | {"seed": seed, "method": values})
            for seed in self.seeds or (self.base.seed,)
            for method in self.base.methods
            for values in self._crossed(method, method.learning_rate or rates[method.key])
        ]
        return tuple(dict.fromkeys(runs))

    def _varied(self, method: Method) -> dict[str, tuple[int, ...]]:
        lists = self.vary.get(method.key, {})
        return {name: lists[name] for name in method.sizes() if lists.get(name)}

    def _crossed(self, method: Method, rate: float) -> list[dict[str, Any]]:
        varied = self._varied(method)
        return [
            method.model_dump()
            | dict(zip(varied, sizes, strict=True))
            | {"learning_rate": rounded(rate * multiple)}
            for *sizes, multiple in product(*varied.values(), self.learning_rates or (1.0,))
        ]


def parse_sweep(values: object) -> SweepRequest:
    """Return a `SweepRequest`; see `parse_request`."""
    return parse_request(
        SweepRequest, values, 'A sweep must be one object such as {"vary": {"cdvft": {"m": [2, 3]}}}'
    )


def numbers(typed: str) -> list[Any]:
    """ "2, 3 4.5" as [2, 3, 4.5]; what is no number stays text, for the validation error to quote."""
    return [typed_number(part) for part in re.split(r"[,;\s]+", typed.strip()) if part]


def rounded(rate: float) -> float:
    """Return the rate with three significant digits, so that 0.1 times 3 is 0.3 and one run is not made
    twice."""
    return float(f"{rate:.3g}")
