"""CDVFT: W + alpha dW with dW a product of m diagonals and m - 1 circulants (Ding et al., IJCAI 2025)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from cdvft_app.methods.base import (
    FrozenWeight,
    GrowthAxis,
    Layer,
    Method,
    common_divisor,
    invalid_setting,
    setting,
    shape_text,
)

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import Tensor

    from cdvft import CDVFTConfig
    from cdvft.cost import Shape
    from cdvft.layer import Factors

MANY_DIAGONALS, MANY_DIAGONALS_SHARE = 4, 0.3
_MAX_BLOCKS = 2**14


class Cdvft(Method):
    title = "CDVFT"
    light, dark = "#0072B2", "#4DA9E0"
    dash, marker, width = "solid", "circle", 2.5
    option_prefix = ""
    usual_learning_rate = 1e-2
    rate_hint = "Default for m of 4 or more: 0.3 times the value for m = 2."

    method: Literal["cdvft"] = "cdvft"
    m: int = setting(
        2, symbol="m", title="diagonal vectors", size=True, in_label="changed", ge=2, le=16,
        hint="More diagonals represent more matrices and cost more. The paper uses 2.",
    )  # fmt: skip
    block_size: int | None = setting(
        None, symbol="p", title="block size", size=True, in_label="changed", empty="each layer's default",
        ge=1, le=16_384,
        hint="Side of a circulant block. Smaller blocks have more parameters.",
    )  # fmt: skip
    alpha: float = setting(
        1.0, symbol="α", title="scale", gt=0, le=1000,
        hint="Factor of the weight update.",
    )  # fmt: skip
    init_weights: Literal["zero_output", "zero_circulant", "zero_input"] = setting(
        "zero_output", symbol="initialization", title="initialization",
        hint="Factor that is zero at the first step.",
        choices=(
            ("output diagonal", "zero_output"),
            ("circulant", "zero_circulant"),
            ("input diagonal", "zero_input"),
        ),
    )  # fmt: skip
    input_diagonal_lr_ratio: float = setting(
        1.0, symbol="input LR ratio", title="input LR ratio", in_label="changed", gt=0, le=1000,
        hint="Learning rate of the input diagonal relative to the other factors.",
    )  # fmt: skip

    def learning_rate_of(self, found: float) -> float:
        """Return the found rate, lowered for more factors, which move further at the same rate.

        On both offline recipes m = 4 does best at 0.3 of what was found with m = 2, and m = 3 at the whole
        (assets/recorded_sweep.json).
        """
        return found * (MANY_DIAGONALS_SHARE if self.m >= MANY_DIAGONALS else 1)

    def require_fitting(self, layers: Sequence[Layer]) -> None:
        for layer in layers:
            largest = max(layer.d_out, layer.d_in)
            if (self.block_size or 1) > largest:
                raise invalid_setting(
                    self, "block_size",
                    f"{shape_text(layer)}, so it can be at most {largest}. "
                    "Leave it empty for each layer's default.",
                )  # fmt: skip

    @classmethod
    def growth_axes(cls, shapes: Sequence[Shape]) -> Iterator[GrowthAxis]:
        yield GrowthAxis("m", range(2, 9), "Two more vectors for each further m.")
        largest = max(max(shape.d_out, shape.d_in) for shape in shapes)
        blocks = [2**power for power in range(4, 15) if 2**power <= largest]
        blocks = [p for p in blocks if all(-(-s.d_out // p) * -(-s.d_in // p) <= _MAX_BLOCKS for s in shapes)]
        note = "Smaller blocks hold more numbers; shorter transforms, but more products of their spectra."
        yield GrowthAxis("block_size", sorted({*blocks, common_divisor(shapes)}), note)

    def peft_config(self, **more: Any) -> CDVFTConfig:
        from cdvft import CDVFTConfig

        of_training = "input_diagonal_lr_ratio"
        own = {name: value for name, value in self.setting_values().items() if name != of_training}
        return CDVFTConfig(**own, **more)

    def lr_ratios(self) -> dict[str, float]:
        """Return the input diagonals' ratio, as `cdvft.create_optimizer` has it."""
        ratio = self.input_diagonal_lr_ratio
        return {r"\.cdvft_diagonals\.\w+\.0$": ratio} if ratio != 1 else {}

    def vectors(self, layer: Any, adapter: str = "default") -> Iterator[tuple[str, Tensor]]:
        """ "diagonal.0", "circulant.0", ... in the order in which they are applied."""
        factors = layer.factors(adapter)
        yield from ((f"diagonal.{place}", vector) for place, vector in enumerate(factors.diagonals))
        yield from ((f"circulant.{place}", vector) for place, vector in enumerate(factors.circulants))

    def size(self, vectors: Mapping[str, ndarray]) -> tuple[int, int]:
        last = max(int(name.partition(".")[2]) for name in vectors if name.startswith("diagonal."))
        return len(vectors[f"diagonal.{last}"]), len(vectors["diagonal.0"])

    def scale(self, d_in: int) -> float:
        return self.alpha

    def factors(self, vectors: Mapping[str, Tensor]) -> Factors:
        """Return the vectors of one layer, in the order in which they are applied."""
        from cdvft.layer import Factors

        def numbered(kind: str) -> list[Tensor]:
            names = [name for name in vectors if name.startswith(f"{kind}.")]
            return [vectors[name] for name in sorted(names, key=lambda name: int(name.partition(".")[2]))]

        return Factors(numbered("diagonal"), numbered("circulant"), self.alpha)

    def update(self, d_out: int, d_in: int, vectors: Mapping[str, Tensor], frozen: FrozenWeight) -> Tensor:
        from cdvft.factors import delta_weight

        return delta_weight(self.factors(vectors))


METHOD = Cdvft
