"""What can be asked about cost, as one frozen and validated value. Needs no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cdvft.cost import Convention
from cdvft_app.settings import METHODS, InvalidChoice, Method, Name, explain

Quantity = Literal["trainable_parameters", "flops_per_step", "seconds_per_step"]


class CostRequest(BaseModel):
    """A model, methods and a step. Ranges are also the limits on what a visitor can ask for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Name
    targets: tuple[Name, ...] | None = Field(
        None, min_length=1, max_length=32, description="None: usual ones"
    )
    methods: tuple[Method, ...] = Field(METHODS, min_length=1, max_length=len(METHODS))
    batch: int = Field(16, ge=1, le=65_536, strict=True, description="sequences or images a step")
    sequence: int | None = Field(
        None, ge=1, le=1_048_576, strict=True, description="tokens; None: usual ones"
    )
    image_size: int | None = Field(None, ge=1, le=2048, strict=True, description="pixels; None: the model's")
    labels: int = Field(2, ge=1, le=100_000, strict=True, description="outputs of the classification head")
    m: int = Field(2, ge=2, le=16, strict=True)
    block_size: int | None = Field(None, ge=1, le=16_384, strict=True)
    lora_r: int = Field(8, ge=1, le=512, strict=True)
    fourierft_n: int = Field(1000, ge=1, le=1_000_000, strict=True)
    c3a_block_size: int | None = Field(None, ge=1, le=16_384, strict=True)
    match: Quantity | None = Field(None, description="set r, n and b so that this equals CDVFT's")
    convention: Convention = "real_fft"

    @field_validator("methods")
    @classmethod
    def _no_method_twice(cls, methods: tuple[Method, ...]) -> tuple[Method, ...]:
        if len(set(methods)) < len(methods):
            raise ValueError(f"{', '.join(methods)} names a method twice; name each method once")
        return methods


def parse_cost(values: object) -> CostRequest:
    """A `CostRequest` from JSON-like values.

    Raises:
        InvalidChoice: with a sentence for each problem.
    """
    if not isinstance(values, dict):
        raise InvalidChoice(
            f'Give one object such as {{"model": "roberta-base"}}; got {type(values).__name__}.'
        )
    unknown = [str(name) for name in values if name not in CostRequest.model_fields]
    if unknown:
        allowed = ", ".join(CostRequest.model_fields)
        raise InvalidChoice(
            f"{unknown[0][:80]} is not a setting of a cost table. The settings are: {allowed}."
        )
    try:
        return CostRequest.model_validate(values)
    except ValidationError as error:
        raise InvalidChoice(explain(error, CostRequest)) from None
