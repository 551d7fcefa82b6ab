"""What is searched: one race's methods, the range of each setting, and the budget that each method has."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, ValidationInfo, field_validator, model_validator

from cdvft_app.methods import Method
from cdvft_app.settings import Name, RunSettings, parse_request, parse_run
from cdvft_app.sweep import Distinct, Multiple, VariedRace, rounded

if TYPE_CHECKING:
    from optuna.trial import Trial

MAX_TRIALS = 100
RATE, EPOCHS, TARGETS = "learning_rate", "epochs", "target_modules"

Epochs = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
Layers = Annotated[tuple[Name, ...], Field(min_length=1, max_length=32)]
Value = TypeVar("Value")


class SearchRequest(VariedRace):
    """The settings of each method of a race are searched, trial by trial.

    A method's rate is searched between the two `rates`, multiples of its own rate where the base names one,
    else of its usual one: never of what a recipe has recorded. With `grid` all `rates` are tried, crossed
    with all other values. Epochs and target modules are shared by a race, so they are searched for one method
    alone.

    Each method has the same budget: `trials`, of which the first `random_trials` are drawn at random, and
    `seconds` of training where they are given, whichever ends first.
    """

    rates: Distinct[Multiple] = Field((0.1, 10.0), min_length=1)
    epochs: Distinct[Epochs] = ()
    target_modules: Distinct[Layers] = ()
    trials: int = Field(12, ge=1, le=MAX_TRIALS, strict=True)
    random_trials: int = Field(4, ge=1, le=MAX_TRIALS, strict=True)
    seconds: float | None = Field(None, gt=0, le=10**7, allow_inf_nan=False)
    pruner: Literal["median", "hyperband", "none"] = "median"
    grid: bool = Field(False, strict=True)

    @field_validator("epochs", "target_modules")
    @classmethod
    def _of_one_method(cls, values: tuple[Value, ...], checked: ValidationInfo) -> tuple[Value, ...]:
        base = checked.data.get("base")
        if values and base and len(base.methods) > 1:
            raise ValueError(
                "all methods of a race have the same; search it for one method alone, or leave it out"
            )
        return values

    @model_validator(mode="after")
    def _can_be_searched(self) -> Self:
        if not self.grid and (len(self.rates) != 2 or self.rates[0] >= self.rates[1]):
            raise ValueError("rates are the lowest and the highest multiple, such as 0.1 and 10")
        by_method = (self.space(index)[RATE] for index in range(len(self.base.methods)))
        if any(len(set(rates)) < len(rates) for rates in by_method):
            raise ValueError("two of the rates are the same to three digits; choose rates further apart")
        if self.grid and max(self.budgets()) > MAX_TRIALS:
            raise ValueError(
                f"these lists make {max(self.budgets()):,} trials of a method; at most {MAX_TRIALS}"
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
        found |= {name: list(lists[name]) for name in method.sizes() if lists.get(name)}
        found |= {EPOCHS: list(self.epochs)} if self.epochs else {}
        layers = [",".join(names) for names in self.target_modules]
        return found | ({TARGETS: layers} if layers else {})

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
        own = {name: value for name, value in chosen.items() if name not in (EPOCHS, TARGETS)}
        shared = self.base.model_dump(exclude={"methods"}) | {"evaluate_on": "validation"}
        shared |= {EPOCHS: chosen[EPOCHS]} if EPOCHS in chosen else {}
        shared |= {TARGETS: chosen[TARGETS].split(",")} if TARGETS in chosen else {}
        return parse_run(shared | {"method": method.model_dump() | own})


def parse_search(values: object) -> SearchRequest:
    """Return a `SearchRequest`; see `parse_request`."""
    return parse_request(
        SearchRequest, values, 'A search must be one object such as {"base": {"recipe": "sentiment"}}'
    )
