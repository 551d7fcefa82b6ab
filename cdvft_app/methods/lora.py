"""LoRA: W + B A with A of r x d_in and B of d_out x r (Hu et al., arXiv 2106.09685), by PEFT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

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

    from cdvft.cost import Shape

LARGEST_RANK = 512


class Lora(Method):
    title = "LoRA"
    light, dark = "#E69F00", "#F0B63E"
    dash, marker = "6px,3px", "square"
    usual_learning_rate = 1e-3
    matched_by = "r"
    growth_note: ClassVar[str] = "Everything LoRA pays is proportional to its rank."

    method: Literal["lora"] = "lora"
    r: int = setting(
        8, symbol="r", title="rank", hint="Rank of the low-rank change.", size=True, named="always",
        ge=1, le=LARGEST_RANK,
    )  # fmt: skip

    alpha: int | None = setting(
        None, symbol="α", title="alpha", named="changed", empty="r", ge=1, le=4096,
        hint="The change is multiplied by alpha / r. Empty: alpha = r, so that the learning rate alone sets "
        "the pace at every rank.",
    )  # fmt: skip
    dropout: float = setting(
        0.0, symbol="dropout", title="dropout", named="changed", ge=0, lt=1,
        hint="Share of the adapter's inputs that is left out of each training step.",
    )  # fmt: skip

    @property
    def scaling(self) -> float:
        """PEFT's factor on B A."""
        return (self.alpha or self.r) / self.r

    def require_useful(self, layers: Sequence[Layer]) -> None:
        for layer in layers:
            smallest = min(layer.d_out, layer.d_in)
            if self.r > smallest:
                sentence = f"{shape_text(layer)}, so a rank above {smallest} adds nothing."
                raise invalid_setting(self, "r", sentence)

    @classmethod
    def ladder(cls, shapes: Sequence[Shape]) -> tuple[int, ...]:
        return powers_of_two(LARGEST_RANK)

    @classmethod
    def growth_axes(cls, shapes: Sequence[Shape]) -> Iterator[GrowthAxis]:
        ranks = powers_of_two(min(LARGEST_RANK, *(min(shape.d_out, shape.d_in) for shape in shapes)))
        yield GrowthAxis("r", ranks, cls.growth_note)

    def peft_config(self, **more: Any) -> LoraConfig:
        from peft import LoraConfig

        return LoraConfig(r=self.r, lora_alpha=self.alpha or self.r, lora_dropout=self.dropout, **more)

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
