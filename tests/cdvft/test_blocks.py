"""Partitions, default block sizes and parameter counts, by tables."""

import pytest

from cdvft.blocks import default_block_size, parameter_count, partition, partitions, vector_shapes


@pytest.mark.parametrize(
    ("d_out", "d_in", "expected"),
    [
        (7, 7, 7),  # square: d, however small
        (3072, 768, 768),  # gcd
        (96, 64, 32),  # a gcd of exactly 32
        (93, 62, 62),  # a gcd of 31: the smaller dimension, padded
        (2, 384, 2),
    ],
)
def test_default_block_size(d_out: int, d_in: int, expected: int) -> None:
    assert default_block_size(d_out, d_in) == expected
    assert partition(d_out, d_in).p == expected


@pytest.mark.parametrize(
    ("d_out", "d_in", "m", "block_size", "expected"),
    [
        (768, 768, 2, None, [(768, 768, 768)]),
        (6, 10, 3, None, [(6, 10, 6), (6, 6, 6)]),
        (10, 6, 4, None, [(10, 6, 6), (10, 10, 10), (10, 10, 10)]),
        (10, 6, 3, 5, [(10, 6, 5), (10, 10, 5)]),
        (6, 10, 3, 8, [(6, 10, 8), (6, 6, 6)]),  # a block may not exceed a later, smaller circulant
    ],
)
def test_partitions(d_out: int, d_in: int, m: int, block_size: int | None, expected: list) -> None:
    assert [(part.d_out, part.d_in, part.p) for part in partitions(d_out, d_in, m, block_size)] == expected


@pytest.mark.parametrize(
    ("shape", "m", "block_size", "count"),
    [
        ((768, 768), 2, None, 3 * 768),  # (2m - 1) d
        ((768, 768), 3, None, 5 * 768),
        ((768, 768), 2, 64, 2 * 768 + 12 * 12 * 64),
        ((1000, 768), 2, None, 768 + 1000 + 2 * 768),
        ((10, 6), 3, 4, 6 + 2 * 10 + 3 * 2 * 4 + 3 * 3 * 4),
    ],
)
def test_parameter_count(shape: tuple[int, int], m: int, block_size: int | None, count: int) -> None:
    assert parameter_count(*shape, m, block_size) == count
    if m == 2 and block_size is None:  # the defaults
        assert parameter_count(*shape) == count
        assert vector_shapes(*shape) == vector_shapes(*shape, 2, None)


@pytest.mark.parametrize(
    ("shape", "block_size"),
    [
        *[((10, 6), p) for p in (0, -3, 11, 2.0, True, "4")],
        *[((0, 3), None), ((3, -1), None), ((3, 2.5), None)],
    ],
)
def test_partition_rejects_bad_sizes(shape: tuple, block_size: object) -> None:
    wrong = min(shape) if block_size is None else block_size
    with pytest.raises(ValueError, match=repr(wrong)):
        partition(*shape, block_size)  # type: ignore[arg-type]


@pytest.mark.parametrize("m", [1, 0, -2, 2.0, True, None])
def test_partitions_rejects_bad_m(m: object) -> None:
    with pytest.raises(ValueError, match=f"m is {m!r}"):
        partitions(6, 6, m)  # type: ignore[arg-type]
