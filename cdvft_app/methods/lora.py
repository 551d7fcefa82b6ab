"""LoRA: W + B A with A of r x d_in and B of d_out x r (Hu et al., arXiv 2106.09685), by PEFT."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import field_validator

from cdvft.blocks import matches
from cdvft_app.methods.base import (
    FrozenWeight,
    GrowthAxis,
    Layer,
    Method,
    invalid_setting,
    powers_of_two,
    setting,
    shape_text,
)

if TYPE_CHECKING:
    from numpy import ndarray
    from peft import LoraConfig
    from torch import Tensor

    from cdvft.cost import Cost, Shape

LARGEST_RANK = 512
_NUMBER = re.compile(r"\.\d+\.")  # of a block
_OF_LAYER = re.compile(r"([A-Za-z0-9_.]+)=([1-9][0-9]{0,2})")


class Lora(Method):
    title = "LoRA"
    light, dark = "#E69F00", "#F0B63E"
    dash, marker = "6px,3px", "square"
    usual_learning_rate = 1e-3
    matched_by = "r"
    with_ratio: ClassVar[str] = r"\.lora_B\."  # parameters whose learning rate LoRA+ multiplies
    growth_note: ClassVar[str] = (
        "LoRA's numbers and FLOPs are proportional to its rank; the inputs that its layers keep are not."
    )

    method: Literal["lora"] = "lora"
    r: int = setting(
        8, symbol="r", title="rank", hint="Rank of the weight update.", size=True, in_label="always",
        ge=1, le=LARGEST_RANK,
    )  # fmt: skip

    alpha: int | None = setting(
        None, symbol="α", title="alpha", in_label="changed", empty="r", ge=1, le=4096,
        hint="The weight update is scaled by alpha / r. Default: r.",
    )  # fmt: skip
    dropout: float = setting(
        0.0, symbol="dropout", title="dropout", in_label="changed", ge=0, lt=1,
        hint="Dropout probability of the adapter's inputs.",
    )  # fmt: skip

    rank_pattern: str | None = setting(
        None, symbol="ranks", title="rank pattern", in_label="changed", empty="r in every layer",
        max_length=200,
        hint="Ranks of single layers, such as query=16 value=4. alpha / r stays the same.",
    )  # fmt: skip

    loraplus_lr_ratio: float = setting(
        1.0, symbol="LoRA+", title="LR ratio of B", in_label="changed", ge=1, le=1000,
        hint="Learning rate of B relative to A.",
    )  # fmt: skip

    @field_validator("rank_pattern", mode="before")
    @classmethod
    def _read_pattern(cls, given: Any) -> Any:
        """PEFT's dict, or the same as a person writes it."""
        words = [f"{name}={rank}" for name, rank in given.items()] if isinstance(given, dict) else given
        words = words.split() if isinstance(words, str) else words
        if words is None or words == []:
            return None
        if not isinstance(words, list) or not all(
            (found := _OF_LAYER.fullmatch(str(one))) and int(found[2]) <= LARGEST_RANK for one in words
        ):
            raise ValueError(
                f"name layers with ranks from 1 to {LARGEST_RANK}, a space between, such as query=16 value=4"
            )
        return " ".join(words)

    @property
    def ranks(self) -> dict[str, int]:
        """`rank_pattern` as PEFT has it."""
        return {name: int(rank) for name, rank in _OF_LAYER.findall(self.rank_pattern or "")}

    @property
    def scaling(self) -> float:
        """PEFT's factor on B A."""
        return (self.alpha or self.r) / self.r

    def sizes(self) -> dict[str, Any]:
        return super().sizes() | ({"rank_pattern": self.rank_pattern} if self.rank_pattern else {})

    def matched(self, value: int) -> Self:
        """Return the method with this rank in every layer."""
        return self.model_copy(update={"r": value, "rank_pattern": None})

    def estimate(self, shapes: Sequence[Shape], **step: Any) -> Cost:
        from cdvft import cost

        return cost.estimate(self.key, shapes, r=self.r, rank_pattern=self.ranks, **step)  # type: ignore[arg-type]

    def require_fitting(self, layers: Sequence[Layer]) -> None:
        for name in self.ranks:
            if layers and not any(matches(layer.name, name) for layer in layers):
                adapted = ", ".join(dict.fromkeys(_NUMBER.split(layer.name)[-1] for layer in layers))
                raise invalid_setting(
                    self, "rank_pattern", f"there is no layer {name} among those with an adapter: {adapted}."
                )

    def require_useful(self, layers: Sequence[Layer]) -> None:
        for layer in layers:
            smallest = min(layer.d_out, layer.d_in)
            of_layer = (rank for name, rank in self.ranks.items() if matches(layer.name, name))
            rank = next(of_layer, None)
            if (rank or self.r) > smallest:
                sentence = f"{shape_text(layer)}, so a rank above {smallest} adds nothing."
                raise invalid_setting(self, "rank_pattern" if rank else "r", sentence)

    @classmethod
    def ladder(cls, shapes: Sequence[Shape]) -> tuple[int, ...]:
        return powers_of_two(LARGEST_RANK)

    @classmethod
    def growth_axes(cls, shapes: Sequence[Shape]) -> Iterator[GrowthAxis]:
        ranks = powers_of_two(min(LARGEST_RANK, *(min(shape.d_out, shape.d_in) for shape in shapes)))
        yield GrowthAxis("r", ranks, cls.growth_note)

    def peft_config(self, **more: Any) -> LoraConfig:
        from peft import LoraConfig

        alphas = {name: self.scaling * rank for name, rank in self.ranks.items()}
        return LoraConfig(
            r=self.r, lora_alpha=self.alpha or self.r, lora_dropout=self.dropout,
            rank_pattern=self.ranks, alpha_pattern=alphas, **more,
        )  # fmt: skip

    def lr_ratios(self) -> dict[str, float]:
        """Return LoRA+'s (Hayou et al., arXiv 2402.12354), as by PEFT's `create_loraplus_optimizer`."""
        return {self.with_ratio: self.loraplus_lr_ratio} if self.loraplus_lr_ratio != 1 else {}

    def vectors(self, layer: Any, adapter: str = "default") -> Iterator[tuple[str, Tensor]]:
        yield "A", layer.lora_A.get_parameter(f"{adapter}.weight")
        yield "B", layer.lora_B.get_parameter(f"{adapter}.weight")

    def size(self, vectors: Mapping[str, ndarray]) -> tuple[int, int]:
        return vectors["B"].shape[0], vectors["A"].shape[1]

    def update(self, d_out: int, d_in: int, vectors: Mapping[str, Tensor], frozen: FrozenWeight) -> Tensor:
        return self.scaling * (vectors["B"] @ vectors["A"])

    def scale(self, d_in: int) -> float:
        return self.scaling


METHOD = Lora
