"""Three adapted layers of one input, and a training pass of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from peft import get_peft_model
from torch import Tensor, nn

from cdvft import CDVFTConfig, shared_input
from cdvft.kernels import fused

WIDTH = 256


def supports_anywhere(x: Tensor, circulants: Sequence[Tensor]) -> bool:
    """As `fused.supports`, wherever x is. Here, for a compiler looks up what it reads by a module's name."""
    return fused.supports_shapes(circulants)


class Attention(nn.Module):
    """Query, key and value of one input, summed unevenly, so that each has a gradient of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        seen = x if other is None else other
        return self.query(x) + 2 * self.key(seen) + 3 * self.value(seen)


def adapted(**options: Any) -> tuple[Any, Attention]:
    """PEFT's model, and the module with the adapted layers."""
    torch.manual_seed(0)
    config = CDVFTConfig(
        target_modules=["query", "key", "value"], init_weights=False, backend="fft", **options
    )
    model = get_peft_model(Attention(), config)
    return model, model.base_model.model


def trained(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def gradients(model: Any, x: Tensor, *others: Tensor) -> list[Tensor]:
    """The output, and the gradients by x and the vectors of one training pass."""
    out = model(x, *others)
    weights = torch.linspace(0, 1, out.numel()).view(out.shape)
    return [out, *torch.autograd.grad((out * weights).sum(), [x, *trained(model)])]


def alone(model: Any, x: Tensor, *others: Tensor) -> list[Tensor]:
    """The same by layers that serve themselves, as on any device but a GPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_input, "DEVICES", ())
        return gradients(model, x, *others)


def close(found: list[Tensor], expected: list[Tensor], most: float = 2e-6) -> bool:
    return all((a - b).norm() <= most * b.norm() for a, b in zip(found, expected, strict=True))
