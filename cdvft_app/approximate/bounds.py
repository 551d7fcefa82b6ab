"""What counting says about m circulant-diagonal factors, without fitting anything."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CountingBound:
    """Dimensions of the set of products of m diagonal and m - 1 circulant n x n factors.

    parameters: (2m - 1) n numbers in the vectors.
    gauge: 2m - 2 of them change nothing: a scalar may move between any two neighbours.
    dimension: min(n^2, parameters - gauge), which is what is left of them.
    matrix_dimension: n^2, the numbers in a matrix.
    may_fill: whether the dimension reaches n^2. Where it does not, almost no matrix is such a product.
    """

    n: int
    m: int
    parameters: int
    gauge: int
    dimension: int
    matrix_dimension: int
    may_fill: bool


def counting_bound(n: int, m: int) -> CountingBound:
    """Degrees of freedom of m factors against those of an n x n matrix: (2m - 1)(n - 1) + 1 against n^2.

    The same count holds for real numbers and, in complex dimensions, for complex ones. It is a necessary
    condition only, and it says nothing about the size of the error below it.

    Raises:
        ValueError: if n or m is below 1.
    """
    if n < 1 or m < 1:
        raise ValueError(f"n is {n!r} and m is {m!r}, but both must be whole numbers of at least 1.")
    parameters, gauge = (2 * m - 1) * n, 2 * m - 2
    dimension = min(n * n, parameters - gauge)
    return CountingBound(n, m, parameters, gauge, dimension, n * n, dimension == n * n)


def factors_needed(n: int) -> tuple[int, int]:
    """Least and sufficient m for a generic complex n x n matrix: (n + 2) / 2, rounded up, and n.

    The first follows from counting: (2m - 1)(n - 1) + 1 >= n^2. The second is the theorem of Huhtanen and
    Perämäki, "Factoring matrices into the product of circulant and diagonal matrices", J. Fourier Anal. Appl.
    21 (2015): a generic complex matrix is a product of at most 2n - 1 circulant and diagonal factors, so n
    diagonals around n - 1 circulants. It is stated for complex matrices; the adapters are real.

    Raises:
        ValueError: if n is below 1.
    """
    if n < 1:
        raise ValueError(f"n is {n!r}, but it must be a whole number of at least 1.")
    return (1 if n == 1 else -(-(n + 2) // 2)), n
