"""The rank machine, sentence by sentence: what is said of diagonals around a circulant, and of rank."""

from __future__ import annotations

import math

import torch
from lesson_words import word_tests
from matrices import filled, product, random, rank
from test_circulant_words import stands_once_in_every_column
from test_fft_words import a_wave_stays_a_wave
from test_low_rank_words import rank_one_is_reached
from torch import Tensor

from cdvft.blocks import parameter_count
from cdvft.circulant import cd_product, circulant

D = 12
DRAWN = [random(3, 8, seed=seed) for seed in range(20)]


def with_zero(vector: Tensor) -> Tensor:
    return torch.cat([vector[:-1], torch.zeros(1, dtype=vector.dtype)])


def entry_is_a_product_of_three() -> bool:
    a3, c, a1 = random(3, D)
    dense = torch.diag(a3) @ circulant(c) @ torch.diag(a1)
    return all(math.isclose(dense[i, j], a3[i] * c[(i - j) % D] * a1[j]) for i in range(D) for j in range(D))


def factors_are_inverted() -> bool:
    a3, c, a1 = random(3, D)
    back = torch.fft.irfft(1 / torch.fft.rfft(c), n=D)
    inverse = product(1 / a1, back, 1 / a3)
    return torch.allclose(inverse @ product(a3, c, a1), torch.eye(D, dtype=c.dtype), atol=1e-9)


def singular_values_are_stretches() -> bool:
    change = product(*random(3, D))
    u, sizes, vh = torch.linalg.svd(change)
    summed = sum((size * torch.outer(a, b) for size, a, b in zip(sizes, u.T, vh, strict=True)), 0 * change)
    perpendicular = torch.allclose(vh @ vh.T, torch.eye(D, dtype=change.dtype))
    stretched = torch.allclose((change @ vh.T).norm(dim=0), sizes)
    return torch.allclose(summed, change) and perpendicular and stretched


def rank_counts_singular_values_above_zero() -> bool:
    change = product(with_zero(random(D)), *random(2, D, seed=1))
    sizes = torch.linalg.svdvals(change)
    return rank(change) == int((sizes > 1e-12 * sizes[0]).sum()) == D - 1


def holds_every_matrix() -> bool:
    """Whether as many directions are free as a matrix has entries."""
    return filled(D) == D * D


def touches_all_directions() -> bool:
    return all(rank(matrix) == D for matrix in (torch.diag(random(D)), circulant(random(D))))


def training_adds_numbers() -> bool:
    vectors = random(3, D).requires_grad_()
    before = vectors.numel()
    optimizer = torch.optim.SGD([vectors], lr=0.01)
    product(*vectors).square().sum().backward()
    optimizer.step()
    return vectors.numel() != before or before != parameter_count(D, D)


def diagonals_leave_one_entry() -> bool:
    first, last = torch.zeros(8), torch.zeros(8)
    first[2], last[5] = 3.0, -2.0
    matrix = last[:, None] * circulant(torch.arange(1.0, 9.0)) * first
    return int(matrix.count_nonzero()) == 1 and bool(matrix[5, 2] != 0)


def circulants_differ_in_whole_diagonals() -> bool:
    """Whichever of the numbers of c are others: each of the 255 choices, beginning with the identity."""
    identity, counts = torch.eye(8)[0], set()
    for chosen in range(1, 256):
        others = torch.tensor([float(chosen >> k & 1) for k in range(8)])
        counts.add(int((circulant(identity) != circulant(identity + others)).sum()))
    return counts == {8 * k for k in range(1, 9)}


def scales_columns_and_rows() -> bool:
    a3, c, a1 = random(3, 8)
    return torch.allclose(cd_product([a1, a3], [c]), product(a3, c, a1))


def machine(zeros_a1: int = 0, zeros_a3: int = 0, silent: tuple[int, ...] = (), seed: int = 0) -> Tensor:
    """A machine of drawn vectors: its first numbers of a1 and last of a3 zero, waves of c silenced."""
    a3, c, a1 = random(3, 8, seed=seed)
    half = torch.fft.rfft(c)
    half[list(silent)] = 0
    a1[:zeros_a1] = 0
    a3[8 - zeros_a3 :] = 0
    return product(a3, torch.fft.irfft(half, n=8), a1)


def ranks(**zeros: object) -> set[int]:
    return {rank(machine(**zeros, seed=seed)) for seed in range(20)}  # type: ignore[arg-type]


def the_only(values: set[int]) -> int:
    (value,) = values
    return value


def a_column_empties_and_seven_are_left() -> bool:
    one = machine(zeros_a1=1)
    return not one[:, 0].any() and rank(one[:, 1:]) == 7


def seven_by_seven_has_rank_seven() -> bool:
    both = machine(zeros_a1=1, zeros_a3=1)
    return not both[:, 0].any() and not both[7].any() and rank(both[:7, 1:]) == 7


def waves_of_real_vectors_are_pairs() -> bool:
    """FFT(c)_k and FFT(c)_(8-k) are conjugates; of 0 and of 4 each is its own."""
    values = torch.fft.fft(random(8))
    paired = all(torch.allclose(values[k], values[8 - k].conj()) for k in range(1, 8))
    return paired and [k for k in range(8) if -k % 8 == k] == [0, 4]


def rank_is_the_number_of_waves() -> bool:
    silenced = {(): 8, (0,): 7, (4,): 7, (1,): 6, (0, 4): 6, (0, 1, 2): 3, (0, 1, 2, 4): 2, (1, 2, 3): 2}
    return all(ranks(silent=waves) == {left} for waves, left in silenced.items())


def rank_is_at_most_the_smallest_count() -> bool:
    return all(
        rank(machine(i, j, waves)) <= min(8 - i, 8 - j, 8 - silent)
        for i in range(4)
        for j in range(4)
        for waves, silent in (((), 0), ((0,), 1), ((1,), 2), ((1, 2), 4))
    )


def a_zero_in_c_need_not_change_the_rank() -> bool:
    a3, c, a1 = random(3, 8)
    dense = product(a3, with_zero(c), a1)
    emptied = all(dense[(j + 7) % 8, j] == 0 for j in range(8))
    return emptied and rank(dense) == 8


HOLD = {
    "rank": {
        "Three vectors make this one.": lambda: (
            product(*random(3, 8)).shape == (8, 8) and parameter_count(8, 8, m=2) == 3 * 8
        ),
        "$c$ fills the diagonals, which wrap around the edges; $a_1$ scales the columns, $a_3$ the "
        "rows.": lambda: stands_once_in_every_column() and scales_columns_and_rows(),
        "\\Delta W_{ij} = a_3[i]\\;c[(i-j) \\bmod 8]\\;a_1[j]": entry_is_a_product_of_three,
        "Its **rank** counts the independent directions in what comes out.": lambda: ranks() == {8},
        "A zero in a₁ empties a column: rank 7.": a_column_empties_and_seven_are_left,
        "Zeros in a₁ and in a₃, one each, empty a column and a row: here still rank 7.": (
            seven_by_seven_has_rank_seven
        ),
        "A zero in c empties a diagonal, but no value of FFT(c): rank 8.": (
            a_zero_in_c_need_not_change_the_rank
        ),
        "A silenced wave is two values of FFT(c): rank 6.": lambda: (
            waves_of_real_vectors_are_pairs() and ranks(silent=(1,)) == {6}
        ),
        "A silenced wave and a zero in a₁ together: rank 6, not 5.": lambda: (
            ranks(zeros_a1=1, silent=(1,)) == {6}
        ),
        "A product of invertible matrices is invertible, so 3d numbers give full rank.": lambda: (
            factors_are_inverted() and rank(product(*random(3, D))) == D
        ),
        "A zero in a₁ empties a column. The other seven are still independent.": (
            a_column_empties_and_seven_are_left
        ),
        "A diagonal is empty, but no value of FFT(c) is zero: all eight stay independent.": (
            a_zero_in_c_need_not_change_the_rank
        ),
        "Seven columns are left, in a space of six directions, and they still fill it.": lambda: (
            ranks(zeros_a1=1, silent=(1,)) == ranks(silent=(1,)) == {6}
        ),
        "A row and a column are empty, but the 7 × 7 matrix that is left has rank 7 here.": (
            seven_by_seven_has_rank_seven
        ),
        "Where c is (1, 0, …, 0) and the zeros stand at different places, it has rank 6.": lambda: (
            rank(product(torch.arange(8.0), torch.eye(8)[0], torch.arange(8.0).flip(0))) == 6
        ),
        "c is real, so values 1 and 7 of FFT(c) go together. Only the constant and the alternating wave have "
        "one value each.": waves_of_real_vectors_are_pairs,
        "a wave that goes in comes out as the same wave, scaled and moved along by "
        "$\\mathrm{FFT}(c)_k$.": a_wave_stays_a_wave,
        "Where $a_1$ and $a_3$ have no zero, the rank is the number of values of $\\mathrm{FFT}(c)$ that are "
        "not zero.": rank_is_the_number_of_waves,
        "With zeros in all three it is at most the smallest of the three counts.": (
            rank_is_at_most_the_smallest_count
        ),
        "Each number of $c$ fills all 8 places of its diagonal.": stands_once_in_every_column,
        "So two circulants never differ in a single entry: they differ in 8, or in 16, and so on.": (
            circulants_differ_in_whole_diagonals
        ),
        "Diagonals can do it: where $a_1$ and $a_3$ have one nonzero number each, a single entry of "
        "the matrix is left.": diagonals_leave_one_entry,
        "A zero in $c$ itself empties a diagonal, and need not change the rank.": (
            a_zero_in_c_need_not_change_the_rank
        ),
        "**LoRA** trains $\\Delta W = BA$, with $r$ columns in $B$ and $r$ rows in $A$: its rank is at "
        "most $r$.": lambda: (
            rank(random(D, 3) @ random(3, D, seed=1)) == 3
            and rank(random(D, 1) @ random(1, 3, seed=1) @ random(3, D, seed=2)) == 1
        ),
        "With $c$ all ones the matrix here is $a_3 a_1^\\top$. So every matrix of rank 1, which is all"
        " that LoRA has with $r = 1$, is one of these.": lambda: rank_one_is_reached(8),
        "**Singular values** $\\sigma_k$ say how much the matrix stretches each of 8 perpendicular "
        "directions.": singular_values_are_stretches,
        "The rank counts those above zero.": rank_counts_singular_values_above_zero,
        "The matrices fill $3d - 2$ dimensions of $d^2$: here 22 of 64.": lambda: (
            filled(8) == 3 * 8 - 2 == 22 and 8**2 == 64
        ),
        "They are not: 3d numbers cannot describe all d² entries.": lambda: not holds_every_matrix(),
        "Full rank is not full freedom.": lambda: not holds_every_matrix(),
        "**Full rank is not free choice.**": lambda: not holds_every_matrix(),
        "Rank counts independent directions, not stored numbers.": lambda: (
            rank(product(*random(3, D))) == D and parameter_count(D, D) < D * D
        ),
        "A diagonal or a circulant without a zero eigenvalue touches all d directions.": (
            touches_all_directions
        ),
        "Training changes the 3d numbers; it adds none.": lambda: not training_adds_numbers(),
    },
}
# Sentences that say what is wanted or named, and nothing that could be false.
SAY_NOTHING = {
    "rank": {
        "Fine-tuning adds a change, $\\Delta W$, to a layer's weights.",
        "One that is small against the largest is a direction that hardly counts:",
        "full rank is cheap.",
    },
}
TRUE = {
    "rank-zero": lambda: the_only(ranks(zeros_a1=1)),
    "rank-both": lambda: the_only(ranks(zeros_a1=1, zeros_a3=1)),
    "rank-c": lambda: the_only({rank(product(a3, with_zero(c), a1)) for a3, c, a1 in DRAWN}),
    "rank-pair": lambda: the_only(ranks(silent=(1,))),
    "rank-pair-zero": lambda: the_only(ranks(zeros_a1=1, silent=(1,))),
    "rank-full": {
        "Because the three factors are large enough to hold every matrix": holds_every_matrix,
        "Because a product of invertible matrices is invertible, however few numbers they hold": lambda: (
            factors_are_inverted() and parameter_count(D, D) < D * D
        ),
        "Because training adds more numbers": training_adds_numbers,
    },
}


test_what_is_said, test_nothing_is_left_out, test_grades = word_tests(HOLD, SAY_NOTHING, TRUE)
