"""Convolutions with 1 x 1 kernels: at every pixel a linear layer of its channels."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from cdvft.layer import CDVFTLinear


class CDVFTConv2d(CDVFTLinear):
    """A frozen nn.Conv2d with 1 x 1 kernels and CDVFT adapters."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """As `CDVFTLinear.forward`, of (N, d_in, height, width): (N, d_out, height, width)."""
        return super().forward(x.movedim(-3, -1), *args, **kwargs).movedim(-1, -3)

    def _base_forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self.base_layer(x.movedim(-1, -3), *args, **kwargs).movedim(-3, -1)

    def get_delta_weight(self, adapter: str) -> Tensor:
        """alpha dW in float32 or wider: (d_out, d_in, 1, 1)."""
        return super().get_delta_weight(adapter)[:, :, None, None]

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        """No: PEFT converts linear layers only."""
        return False


def is_pointwise(module: nn.Module) -> bool:
    """Whether a convolution multiplies the channels of every pixel by one matrix, and does nothing else."""
    return (
        isinstance(module, nn.Conv2d)
        and set(module.kernel_size) == set(module.stride) == {1}
        and module.groups == 1
        and (isinstance(module.padding, str) or set(module.padding) == {0})
    )
