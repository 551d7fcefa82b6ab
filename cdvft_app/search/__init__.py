"""What is searched: one race's methods, the range of each setting, and the budget that each method has."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from cdvft_app.methods import Method
from cdvft_app.settings import RunSettings, parse_request, parse_run
from cdvft_app.sweep import Distinct, Multiple, VariedRace, rounded

if TYPE_CHECKING:
    from optuna.trial import Trial

MAX_TRIALS = 100
RATE = "learning_rate"


class SearchRequest(VariedRace):
    """The settings of each method of a race are searched, trial by trial.

    A method's rate is searched between the two `rates`, multiples of its own rate where the base names one,
    else of its usual one: never of what a recipe has recorded. With `grid` all `rates` are tried, crossed
    with all other values. Each method has the same number of `trials`.
    """

    rates: Distinct[Multiple] = Field((0.1, 10.0), min_length=1)
    trials: int = Field(12, ge=1, le=MAX_TRIALS, strict=True)
    grid: bool = Field(False, strict=True)

    @model_validator(mode="after")
    def _can_be_searched(self) -> Self:
        if not self.grid and (len(self.rates) != 2 or self.rates[0] >= self.rates[1]):
            raise ValueError("rates are the lowest and the highest multiple, such as 0.1 and 10")
        by_method = (self.space(index)[RATE] for index in range(len(self.base.methods)))
        if any(len(set(rates)) < len(rates) for rates in by_method):
            raise ValueError("two of the rates are the same to three digits; choose rates further apart")
        if max(self.budgets()) > MAX_TRIALS:
            raise ValueError(
                f"the lists make {max(self.budgets()):,} trials per method (maximum {MAX_TRIALS})"
            )
        return self

    def budgets(self) -> list[int]:
        """Return the most trials that each method has; for a grid the number of its points."""
        if not self.grid:
            return [self.trials] * len(self.base.methods)
        return [math.prod(map(len, self.space(index).values())) for index in range(len(self.base.methods))]

    def space(self, index: int) -> dict[str, list[Any]]:
        """Return the values of each searched setting of the method at this index; of the rate its two
        ends."""
        method = self.base.methods[index]
        around = method.learning_rate or method.usual_learning_rate
        lists = self.vary.get(method.key, {})
        found: dict[str, list[Any]] = {RATE: [rounded(around * multiple) for multiple in self.rates]}
        return found | {name: list(lists[name]) for name in method.sizes() if lists.get(name)}

    def propose(self, index: int, trial: Trial) -> RunSettings:
        """Return the run of a trial of the method at this index, with what Optuna suggests for it."""
        chosen: dict[str, Any] = {}
        for name, values in self.space(index).items():
            if name == RATE and not self.grid:
                chosen[name] = rounded(trial.suggest_float(name, *values, log=True))
            else:
                chosen[name] = trial.suggest_categorical(name, values)
        return self._run(index, chosen)

    def middle(self) -> tuple[RunSettings, ...]:
        """Return one run for each method in the middle of its searched ranges, from which the search is
        forecast."""
        return tuple(self._run(index, self._middle(index)) for index in range(len(self.base.methods)))

    def every_value(self) -> tuple[RunSettings, ...]:
        """Return runs in which each value occurs that is searched: what is checked before it begins."""
        return tuple(
            self._run(index, self._middle(index) | {name: value})
            for index in range(len(self.base.methods))
            for name, values in self.space(index).items()
            for value in values
        )

    def _middle(self, index: int) -> dict[str, Any]:
        space = self.space(index)
        found = {name: values[len(values) // 2] for name, values in space.items()}
        return found | {RATE: rounded((min(space[RATE]) * max(space[RATE])) ** 0.5)}

    def _run(self, index: int, chosen: dict[str, Any]) -> RunSettings:
        """Return the run with the chosen values; `InvalidChoice` where one is out of its range."""
        method: Method = self.base.methods[index]
        shared = self.base.model_dump(exclude={"methods"}) | {"evaluate_on": "validation"}
        return parse_run(shared | {"method": method.model_dump() | chosen})


def parse_search(values: object) -> SearchRequest:
    """Return a `SearchRequest`; see `parse_request`."""
    return parse_request(
        SearchRequest, values, 'A search must be one object such as {"base": {"recipe": "sentiment"}}'
    )
