"""C3A's update (Chen et al., "Parameter-Efficient Fine-Tuning via Circular Convolution") by the same kernels.

The gradient by x is that of the formula. PEFT 0.21's own is another: its `BlockCircularConvolution` fails
`torch.autograd.gradcheck` for x.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cdvft.circulant import Factors
from cdvft.kernels import fused


def c3a_update(x: Tensor, kernel: Tensor) -> Tensor:
    """What PEFT's C3A layer adds to its base layer's output, for what `fused.supports`; differentiable.

    C3A correlates where circ(c) convolves: y_i[n] = sum over j and l of kernel_ij[l] x_j[n + l] / d_in. So
    c[l] = kernel[-l]; there are no diagonals.

    Args:
        x: (..., d_in), d_in = n b
        kernel: (m, n, b), float32

    Returns:
        (..., m b), in the dtype of x
    """
    from cdvft.kernels.fused import operators

    m, n, b = kernel.shape
    ones = [torch.ones(size, dtype=torch.float32, device=x.device) for size in (n * b, m * b)]
    (stage,) = fused.stages(Factors(ones, [kernel.flip(-1).roll(1, -1)], 1 / (n * b)))
    y = operators.update_operator(x.reshape(-1, n * b).contiguous(), *stage)
    return y.view(*x.shape[:-1], m * b)
