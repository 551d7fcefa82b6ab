"""VeRA: W + diag(b) B diag(d) A with A and B frozen, random and shared by all layers, by PEFT.

Kopiczko et al., arXiv 2310.11454. PEFT draws A (r, widest d_in) and B (widest d_out, r) from a seed and gives
each layer their upper left parts, so layers of different shapes fit; the adapter's file holds both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from cdvft.cost import Shape
from cdvft_app.methods.base import FrozenWeight, GrowthAxis, Method, powers_of_two, setting

if TYPE_CHECKING:
    from numpy import ndarray
    from peft import VeraConfig
    from torch import Tensor

LARGEST_RANK = 4096


class Vera(Method):
    title = "VeRA"
    light, dark = "#6B4FA0", "#B09BE0"
    dash, marker = "8px,2px,2px,2px,2px,2px", "cross"
    usual_learning_rate = 1e-2
    matched_by = "r"
    drawn_from_vectors = False
    fixed_vectors = ("widths",)

    method: Literal["vera"] = "vera"
    r: int = setting(
        256,
        symbol="r",
        title="rank",
        hint="Rank of the shared, frozen matrices A and B.",
        size=True,
        in_label="always",
        ge=1,
        le=LARGEST_RANK,
    )

    @classmethod
    def ladder(cls, shapes: Sequence[Shape]) -> tuple[int, ...]:
        return powers_of_two(LARGEST_RANK)

    @classmethod
    def growth_axes(cls, shapes: Sequence[Shape]) -> Iterator[GrowthAxis]:
        note = "FLOPs and the shared matrices grow with r; of the trained numbers only r of r + d do."
        yield GrowthAxis("r", powers_of_two(LARGEST_RANK), note)

    def peft_config(self, **more: Any) -> VeraConfig:
        from peft import VeraConfig

        return VeraConfig(r=self.r, **more)

    def vectors(self, layer: Any, adapter: str = "default") -> Iterator[tuple[str, Tensor]]:
        """Yield the vectors d and b, the widths of the shared matrices, which are drawn again, and the
        layer's."""
        import torch

        yield "b", layer.vera_lambda_b[adapter]
        yield "d", layer.vera_lambda_d[adapter]
        shared = layer.vera_B[adapter].shape[0], layer.vera_A[adapter].shape[1]
        yield "widths", torch.tensor((*shared, layer.out_features, layer.in_features))

    def size(self, vectors: Mapping[str, ndarray]) -> tuple[int, int]:
        _, _, d_out, d_in = map(int, vectors["widths"])
        return d_out, d_in

    def update(self, d_out: int, d_in: int, vectors: Mapping[str, Tensor], frozen: FrozenWeight) -> Tensor:
        widest_out, widest_in, *_ = map(int, vectors["widths"])
        a, b = shared(self.r, widest_out, widest_in)
        return (vectors["b"].unsqueeze(1) * b[:d_out]) @ (vectors["d"].unsqueeze(1) * a[:, :d_in])


def shared(r: int, widest_out: int, widest_in: int) -> tuple[Tensor, Tensor]:
    """Return a and B as PEFT draws them: uniform with Kaiming's bound, from its own seed 0."""
    import torch

    generator = torch.Generator().manual_seed(0)
    a, b = (
        torch.empty(size).uniform_(-math.sqrt(6 / size[1]), math.sqrt(6 / size[1]), generator=generator)
        for size in ((r, widest_in), (widest_out, r))
    )
    return a, b


METHOD = Vera
