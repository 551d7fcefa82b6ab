"""DoRA: m (W + B A) / ||W + B A||, norms of rows, LoRA's B A (Liu et al., arXiv 2402.09353), by PEFT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from cdvft.cost import Shape
from cdvft_app.methods.base import Frozen, Growth, Layer, Method, powers_of_two, require_setting, shape_text
from cdvft_app.methods.setting import setting

if TYPE_CHECKING:
    from numpy import ndarray
    from peft import LoraConfig
    from torch import Tensor

LARGEST_RANK = 512


class Dora(Method):
    title = "DoRA"
    light, dark = "#7A4B1E", "#C8905A"
    dash, marker = "10px,3px,2px,3px", "pentagon"
    usual_learning_rate = 1e-3
    matched_by = "r"
    drawn_from_vectors = False

    method: Literal["dora"] = "dora"
    r: int = setting(
        8,
        symbol="r",
        title="rank",
        hint="Rank of the low-rank change of direction; each output has a trained length besides.",
        size=True,
        named="always",
        ge=1,
        le=LARGEST_RANK,
    )

    def require_useful(self, layers: Sequence[Layer]) -> None:
        for layer in layers:
            smallest = min(layer.d_out, layer.d_in)
            if self.r > smallest:
                sentence = f"{shape_text(layer)}, so a rank above {smallest} adds nothing."
                raise require_setting(self, "r", sentence)

    @classmethod
    def ladder(cls, shapes: Sequence[Shape]) -> tuple[int, ...]:
        return powers_of_two(LARGEST_RANK)

    @classmethod
    def growths(cls, shapes: Sequence[Shape]) -> Iterator[Growth]:
        ranks = powers_of_two(min(LARGEST_RANK, *(min(shape.d_out, shape.d_in) for shape in shapes)))
        yield Growth("r", ranks, "LoRA's costs, the magnitudes, and B A built every step for its norms.")

    def peft_config(self, **more: Any) -> LoraConfig:
        from peft import LoraConfig

        # alpha = r makes the scale 1 at every rank, as in LoRA.
        return LoraConfig(r=self.r, lora_alpha=self.r, use_dora=True, **more)

    def vectors(self, layer: Any, adapter: str = "default") -> Iterator[tuple[str, Tensor]]:
        yield "A", layer.lora_A.get_parameter(f"{adapter}.weight")
        yield "B", layer.lora_B.get_parameter(f"{adapter}.weight")
        yield "magnitude", layer.lora_magnitude_vector[adapter].weight

    def size(self, vectors: Mapping[str, ndarray]) -> tuple[int, int]:
        return vectors["B"].shape[0], vectors["A"].shape[1]

    def update(self, d_out: int, d_in: int, vectors: Mapping[str, Tensor], frozen: Frozen) -> Tensor:
        weight = frozen()
        moved = weight + vectors["B"] @ vectors["A"]
        return vectors["magnitude"].unsqueeze(1) * moved / moved.norm(dim=1, keepdim=True) - weight


METHOD = Dora
