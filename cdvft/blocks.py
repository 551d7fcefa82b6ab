"""How a d_out x d_in matrix is partitioned into p x p circulant blocks.

Pure counting, no torch: the layer, the cost model and the page all ask the same functions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MIN_COMMON_BLOCK = 32
"""Smallest greatest common divisor that is used as the default block size."""


def matches(name: str, target: str) -> bool:
    """PEFT's rule: a module's name is the target, or ends in a dot and the target."""
    return name == target or name.endswith(f".{target}")


@dataclass(frozen=True)
class Partition:
    """A d_out x d_in matrix as q1 x q2 circulant blocks of size p x p.

    Where p does not divide, the input is zero-padded to q2 * p and the output is cut from q1 * p
    (Ding et al., IJCAI 2025, partition non-square weights this way; the padding is this library's choice).
    """

    d_out: int
    d_in: int
    p: int

    @property
    def q1(self) -> int:
        """Blocks along the output, ceil(d_out / p)."""
        return -(-self.d_out // self.p)

    @property
    def q2(self) -> int:
        """Blocks along the input, ceil(d_in / p)."""
        return -(-self.d_in // self.p)

    @property
    def padded(self) -> bool:
        """Whether p fails to divide d_out or d_in."""
        return self.q1 * self.p != self.d_out or self.q2 * self.p != self.d_in

    @property
    def parameters(self) -> int:
        """Trainable entries, q1 * q2 * p: one vector of length p a block."""
        return self.q1 * self.q2 * self.p


def default_block_size(d_out: int, d_in: int) -> int:
    """Return the block size used when none is given (this library's choice, not the paper's).

    d for a square matrix; otherwise gcd(d_out, d_in); if that is under 32, min(d_out, d_in) with padding.
    """
    common = math.gcd(d_out, d_in)
    return common if common >= MIN_COMMON_BLOCK or d_out == d_in else min(d_out, d_in)


def partition(d_out: int, d_in: int, block_size: int | None = None) -> Partition:
    """Partition a d_out x d_in matrix into blocks of the given size, or of the default one.

    Raises:
        ValueError: if a size is not a whole number of at least 1, or the block exceeds max(d_out, d_in).
    """
    for name, size in (("d_out", d_out), ("d_in", d_in)):
        if not is_count(size):
            raise ValueError(
                f"{name} is {size!r}, but a matrix dimension must be a whole number of at least 1."
            )
    if block_size is None:
        return Partition(d_out, d_in, default_block_size(d_out, d_in))
    largest = max(d_out, d_in)
    if not is_count(block_size) or block_size > largest:
        raise ValueError(
            f"block_size is {block_size!r}, but for a {d_out} x {d_in} layer it must be a whole number from "
            f"1 to {largest}. Choose one in that range, or None for {default_block_size(d_out, d_in)}."
        )
    return Partition(d_out, d_in, block_size)


def partitions(d_out: int, d_in: int, m: int, block_size: int | None = None) -> tuple[Partition, ...]:
    """Partitions of the m - 1 circulants of one layer, in the order in which they are applied.

    The first maps d_in to d_out, the later ones are d_out x d_out (this library's choice for m > 2). A given
    block size p is used for all of them, min(p, d_out) for the later ones; by default these are one
    d_out x d_out circulant each.

    Raises:
        ValueError: if m is not a whole number of at least 2, or as `partition` does.
    """
    if not is_count(m) or m < 2:
        raise ValueError(
            f"m is {m!r}, but the number of diagonals must be a whole number of at least 2. "
            "Use m=2 for two diagonals around one circulant, the usual choice."
        )
    first = partition(d_out, d_in, block_size)
    if m == 2:
        return (first,)
    # A block size that fits the first circulant may exceed d_out when d_out < d_in.
    later = partition(d_out, d_out, None if block_size is None else min(block_size, d_out))
    return (first, *(later,) * (m - 2))


def vector_shapes(
    d_out: int, d_in: int, m: int = 2, block_size: int | None = None
) -> tuple[list[tuple[int]], list[tuple[int, int, int]]]:
    """Return the shapes of a layer's m diagonals, (d_in) or (d_out), and m - 1 circulants, (q1, q2, p).

    Raises:
        ValueError: as `partitions` does.
    """
    parts = partitions(d_out, d_in, m, block_size)
    return [(d_in,), *[(d_out,)] * (m - 1)], [(part.q1, part.q2, part.p) for part in parts]


def parameter_count(d_out: int, d_in: int, m: int = 2, block_size: int | None = None) -> int:
    """Trainable parameters of one layer: d_in + (m - 1) d_out + sum over circulants of q1 q2 p.

    For a square layer with the default block size this is (2m - 1) d.
    """
    return sum(math.prod(shape) for shapes in vector_shapes(d_out, d_in, m, block_size) for shape in shapes)


def is_count(value: object) -> bool:
    """Return whether it is a whole number of at least 1; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
