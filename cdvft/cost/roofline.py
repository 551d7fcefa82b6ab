"""Bytes that pass memory and FLOPs of products, of one adapted layer in half precision, engine by engine.

Forward and backward together. Everything that is read or written counts once: caches can only save what is
counted twice, so that with a device's published rates these give a limit, not a forecast (Williams, Waterman,
Patterson, "Roofline: an insightful visual performance model", 2009). The vectors, shares of their gradients,
and what each program reads anew are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from cdvft.blocks import Partition

HALF = 2
"""Bytes of bfloat16 or float16."""


@dataclass(frozen=True)
class Work:
    """Bytes that pass memory, and FLOPs of products in half precision, transforms among them."""

    bytes: float
    flops: float

    def __add__(self, other: Work) -> Work:
        return Work(self.bytes + other.bytes, self.flops + other.flops)

    def seconds(self, bandwidth: float, half: float) -> tuple[float, float]:
        """By memory, and by products, at so many bytes and FLOPs a second: the longer is the limit."""
        return self.bytes / bandwidth, self.flops / half


def frozen(d_out: int, d_in: int, tokens: int) -> Work:
    """W x and W^T g."""
    moved = 2 * (tokens * (d_in + d_out) + d_in * d_out)
    return Work(HALF * moved, 4.0 * tokens * d_in * d_out)


def merged(d_out: int, d_in: int, tokens: int) -> Work:
    """(W + dW) x and (W + dW)^T g, with W + dW made twice, and the dense gradient g^T x, written and read."""
    entries = d_in * d_out
    built = 2 * 2 * HALF * entries
    gradient = HALF * (tokens * (d_in + d_out) + 2 * entries)
    return frozen(d_out, d_in, tokens) + Work(built + gradient, 2.0 * tokens * entries)


def fused(part: Partition, tokens: int, transform: int) -> Work:
    """What one circulant adds to the frozen layer, whose sums start from the update and its gradient by x.

    Forward each block transforms its input, and each row of blocks its output back; backward a pass by x and
    the first diagonal does the same with the gradient, one by the last diagonal with x, and one by c
    transforms both for each block.

    transform: FLOPs of a transform of length p, `cdvft.kernels.fused.plan.Plan.flops`
    """
    q1, q2, d_out, d_in = part.q1, part.q2, part.d_out, part.d_in
    rows = HALF * (6 * d_in + 5 * d_out)
    return Work(tokens * rows, tokens * (5 * q1 * q2 + 2 * q1 + q2) * float(transform))
