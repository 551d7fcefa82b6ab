"""The request for a cost table, frozen and validated. Needs no torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cdvft.cost import Convention
from cdvft_app.costs.devices import HERE
from cdvft_app.methods import METHODS, AnyMethod, InvalidChoice, Method, flat
from cdvft_app.settings import MAX_COMPETITORS, Name, explain, require_distinct

Quantity = Literal["trainable_parameters", "flops_per_step", "seconds_per_step"]
DeviceKey = Literal["here", "t4", "l4", "rtx4090", "a100-40", "a100-80", "h100"]
PrecisionKey = Literal["float32", "bfloat16", "8bit", "4bit"]
Aim = Literal["file", "memory", "time", "many", "quality"]


class CostRequest(BaseModel):
    """A model, methods and a step. Ranges are also the limits on what a visitor can ask for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Name
    targets: tuple[Name, ...] | None = Field(
        None, min_length=1, max_length=32, description="None: usual ones"
    )
    methods: tuple[AnyMethod, ...] = Field(min_length=1, max_length=MAX_COMPETITORS)
    batch: int = Field(16, ge=1, le=65_536, strict=True, description="sequences or images a step")
    sequence: int | None = Field(
        None, ge=1, le=1_048_576, strict=True, description="tokens; None: usual ones"
    )
    image_size: int | None = Field(None, ge=1, le=2048, strict=True, description="pixels; None: the model's")
    labels: int = Field(default=2, ge=1, le=100_000, strict=True, description="outputs of the head")
    match: Quantity | None = Field(default=None, description="set sizes so that this equals CDVFT's")
    convention: Convention = "real_fft"
    device: DeviceKey = Field(default=HERE, description="the one that should train it")
    precision: PrecisionKey = Field(default="float32", description="of the frozen weights and the arithmetic")
    gradient_checkpointing: bool = Field(default=False, strict=True)
    aim: Aim = Field(default="quality", description="what matters most")

    @model_validator(mode="before")
    @classmethod
    def _accept_flat_names(cls, values: Any) -> Any:
        return flat.read_race(values, tuple(METHODS))

    @field_validator("methods")
    @classmethod
    def _no_method_twice(cls, methods: tuple[Method, ...]) -> tuple[Method, ...]:
        return require_distinct(methods)

    @property
    def as_measured(self) -> CostRequest:
        """Steps are measured in float32 without checkpointing, whatever is asked."""
        return self.model_copy(update={"precision": "float32", "gradient_checkpointing": False})

    @property
    def reference(self) -> Method:
        """The CDVFT whose costs `match` asks for."""
        among = (method for method in self.methods if method.key == "cdvft")
        return next(among, METHODS["cdvft"].model_validate({}))


def parse_cost(values: object) -> CostRequest:
    """A `CostRequest` from JSON-like values.

    Raises:
        InvalidChoice: with a sentence for each problem.
    """
    if not isinstance(values, dict):
        raise InvalidChoice(
            f'Give one object such as {{"model": "roberta-base"}}; got {type(values).__name__}.'
        )
    known = (*CostRequest.model_fields, *flat.FLAT, "learning_rates")
    unknown = [str(name) for name in values if name not in known]
    if unknown:
        allowed = ", ".join(CostRequest.model_fields)
        raise InvalidChoice(
            f"{unknown[0][:80]} is not a setting of a cost table. The settings are: {allowed}."
        )
    try:
        return CostRequest.model_validate(values)
    except ValidationError as error:
        raise InvalidChoice(explain(error, CostRequest)) from None
