"""C3A: W + dW / d_in with dW of b x b circulant blocks (Chen et al., arXiv 2407.19342), by PEFT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from cdvft_app.methods.base import FrozenWeight, Layer, Method, common_divisor, invalid_setting, setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy import ndarray
    from peft import C3AConfig
    from torch import Tensor

    from cdvft.cost import Shape

MAX_BLOCKS_A_SIDE = 16  # more take many times as long


class C3A(Method):
    title = "C3A"
    light, dark = "#CC79A7", "#E0A0C4"
    dash, marker = "6px,3px,2px,3px", "triangle-up"
    usual_learning_rate = 1e-1
    matched_by = "block_size"

    method: Literal["c3a"] = "c3a"
    block_size: int | None = setting(
        None, symbol="b", title="block size", size=True, empty="the greatest common divisor of all sizes",
        hint="Side of a circulant block. Default: the greatest common divisor.", ge=1, le=16_384,
    )  # fmt: skip

    @classmethod
    def unsupported_reason(cls, layers: Sequence[Any]) -> str | None:
        conv1d = next((layer.name for layer in layers if getattr(layer, "conv1d", False)), None)
        return conv1d and f"{conv1d} is a Conv1D layer, which PEFT's C3A does not support."

    def require_fitting(self, layers: Sequence[Layer]) -> None:
        common = common_divisor(layers)
        if self.block_size and common % self.block_size:
            raise invalid_setting(
                self,
                "block_size",
                f"it must divide the sizes of all layers, and so {common}. "
                "Choose a divisor, or leave it empty.",
            )

    def with_layer_defaults(self, layers: Sequence[Layer]) -> Self:
        return self.model_copy(update={"block_size": self.block_size or common_divisor(layers) or None})

    @classmethod
    def ladder(cls, shapes: Sequence[Shape]) -> tuple[int, ...]:
        common = common_divisor(shapes)
        return tuple(common // blocks for blocks in range(1, MAX_BLOCKS_A_SIDE + 1) if common % blocks == 0)

    def peft_config(self, **more: Any) -> C3AConfig:
        from peft import C3AConfig

        assert self.block_size  # filled in by a plan
        return C3AConfig(block_size=self.block_size, **more)

    def vectors(self, layer: Any, adapter: str = "default") -> Iterator[tuple[str, Tensor]]:
        yield "kernel", layer.c3a_kernel[adapter]

    def size(self, vectors: Mapping[str, ndarray]) -> tuple[int, int]:
        q1, q2, b = vectors["kernel"].shape
        return q1 * b, q2 * b

    def scale(self, d_in: int) -> float:
        return 1 / d_in

    def update(self, d_out: int, d_in: int, vectors: Mapping[str, Tensor], frozen: FrozenWeight) -> Tensor:
        from peft.tuners.c3a.utils import get_circulant_fast

        return get_circulant_fast(vectors["kernel"].float()) / d_in


METHOD = C3A
