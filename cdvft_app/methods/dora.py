"""DoRA: m (W + B A) / ||W + B A||, norms of rows, LoRA's B A (Liu et al., arXiv 2402.09353), by PEFT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from cdvft_app.methods.base import FrozenWeight, setting
from cdvft_app.methods.lora import LARGEST_RANK, Lora

if TYPE_CHECKING:
    from peft import LoraConfig
    from torch import Tensor


class Dora(Lora):
    title = "DoRA"
    light, dark = "#7A4B1E", "#C8905A"
    dash, marker = "10px,3px,2px,3px", "pentagon"
    drawn_from_vectors = False
    with_ratio = r"\.lora_(B|magnitude_vector)\."
    growth_note = "LoRA's costs, the magnitudes, and B A built every step for its norms."

    method: Literal["dora"] = "dora"  # type: ignore[assignment]
    r: int = setting(
        8, symbol="r", title="rank", size=True, in_label="always", ge=1, le=LARGEST_RANK,
        hint="Rank of the update. Each output also has a trained magnitude.",
    )  # fmt: skip

    def peft_config(self, **more: Any) -> LoraConfig:
        return super().peft_config(use_dora=True, **more)

    def vectors(self, layer: Any, adapter: str = "default") -> Iterator[tuple[str, Tensor]]:
        yield from super().vectors(layer, adapter)
        yield "magnitude", layer.lora_magnitude_vector[adapter].weight

    def update(self, d_out: int, d_in: int, vectors: Mapping[str, Tensor], frozen: FrozenWeight) -> Tensor:
        weight = frozen()
        moved = weight + super().update(d_out, d_in, vectors, frozen)
        return vectors["magnitude"].unsqueeze(1) * moved / moved.norm(dim=1, keepdim=True) - weight


METHOD = Dora
