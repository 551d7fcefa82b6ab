"""FourierFT: W + scaling Re ifft2(S), S with n learned entries (Gao et al., arXiv 2405.03003), by PEFT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from cdvft_app.methods.base import (
    FrozenWeight,
    GrowthAxis,
    Layer,
    Method,
    invalid_setting,
    setting,
    shape_text,
)

if TYPE_CHECKING:
    from numpy import ndarray
    from peft import FourierFTConfig
    from torch import Tensor

    from cdvft.cost import Shape

MAX_TRIED = 100_000


class FourierFT(Method):
    title = "FourierFT"
    light, dark = "#009E73", "#2FC79B"
    dash, marker = "2px,3px", "diamond"
    usual_learning_rate = 5e-2
    matched_by = "n"
    fixed_vectors = ("indices", "size")

    method: Literal["fourierft"] = "fourierft"
    n: int = setting(
        1000, symbol="n", title="entries per layer", hint="Trained spectral entries per layer.", size=True,
        in_label="always", ge=1, le=1_000_000,
    )  # fmt: skip
    scaling: float = setting(
        150.0, symbol="scaling", title="scaling", hint="Factor of the weight update.", gt=0, le=10_000
    )

    def require_fitting(self, layers: Sequence[Layer]) -> None:
        for layer in layers:
            entries = layer.d_out * layer.d_in
            if self.n > entries:
                sentence = f"{shape_text(layer)}, so there are {entries} frequencies. Choose fewer."
                raise invalid_setting(self, "n", sentence)

    @classmethod
    def ladder(cls, shapes: Sequence[Shape]) -> tuple[int, ...]:
        most = min(MAX_TRIED, *(shape.weights for shape in shapes))
        return tuple(10**power for power in range(6) if 10**power <= most)

    @classmethod
    def growth_axes(cls, shapes: Sequence[Shape]) -> Iterator[GrowthAxis]:
        entries = min(shape.weights for shape in shapes)
        counts = [count for power in range(1, 7) for count in (10**power, 3 * 10**power) if count <= entries]
        note = "Its parameters are n; its FLOPs are the same whatever n is, for the change is built densely."
        yield GrowthAxis("n", counts, note)

    def peft_config(self, **more: Any) -> FourierFTConfig:
        from peft import FourierFTConfig

        # Coefficients from zero, as PEFT offers: its other start, N(0, 1) times a scaling that was chosen for
        # wider layers, spoils a small model before the first step (benchmarks/results/learning_rates.json).
        return FourierFTConfig(n_frequency=self.n, scaling=self.scaling, init_weights=True, **more)

    def vectors(self, layer: Any, adapter: str = "default") -> Iterator[tuple[str, Tensor]]:
        """Yield the entries, their places, and the size of the layer, which follows from neither."""
        import torch

        yield "spectrum", layer.fourierft_spectrum[adapter]
        yield "indices", layer.indices[adapter]
        yield "size", torch.tensor((layer.out_features, layer.in_features))

    def size(self, vectors: Mapping[str, ndarray]) -> tuple[int, int] | None:
        if "size" not in vectors:  # of an earlier version
            return None
        d_out, d_in = map(int, vectors["size"])
        return d_out, d_in

    def scale(self, d_in: int) -> float:
        return self.scaling

    def update(self, d_out: int, d_in: int, vectors: Mapping[str, Tensor], frozen: FrozenWeight) -> Tensor:
        import torch

        rows, columns = vectors["indices"].long()
        spectrum = torch.zeros(d_out, d_in)
        spectrum[rows, columns] = vectors["spectrum"].float()
        return self.scaling * torch.fft.ifft2(spectrum).real


METHOD = FourierFT
