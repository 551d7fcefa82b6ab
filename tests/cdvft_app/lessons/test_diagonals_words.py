"""Lesson 3, sentence by sentence: what is said of diagonals around a circulant, and of rank, is computed."""

from __future__ import annotations

import math

import torch
from lesson_words import word_tests
from test_low_rank_words import product, random, rank
from torch import Tensor

from cdvft.blocks import parameter_count
from cdvft.circulant import circulant, circulant_matmul

D = 12


def with_zero(vector: Tensor) -> Tensor:
    return torch.cat([vector[:-1], torch.zeros(1, dtype=vector.dtype)])


def commutes_with_a_shift() -> bool:
    c, x = random(D), random(D, seed=1)
    return torch.allclose(circulant(c) @ x.roll(1), (circulant(c) @ x).roll(1))


def a_diagonal_does_not() -> bool:
    a, x = random(D), random(D, seed=1)
    return torch.equal(torch.diag(a) @ x, a * x) and not torch.allclose(a * x.roll(1), (a * x).roll(1))


def entry_is_a_product_of_three() -> bool:
    a3, c, a1 = random(3, D)
    dense = torch.diag(a3) @ circulant(c) @ torch.diag(a1)
    return all(math.isclose(dense[i, j], a3[i] * c[(i - j) % D] * a1[j]) for i in range(D) for j in range(D))


def is_applied_without_the_matrix() -> bool:
    a3, c, a1 = random(3, D)
    x = random(D, seed=1)
    return torch.allclose(a3 * circulant_matmul(a1 * x, c), product(a3, c, a1) @ x)


def rank_is_full_unless_a_number_is_zero() -> bool:
    a3, c, a1 = random(3, D)
    silent = torch.fft.irfft(with_zero(torch.fft.rfft(c)), n=D)
    full = rank(product(a3, c, a1)) == D
    less = (product(with_zero(a3), c, a1), product(a3, c, with_zero(a1)), product(a3, silent, a1))
    return full and all(rank(matrix) < D for matrix in less)


def factors_are_inverted() -> bool:
    a3, c, a1 = random(3, D)
    back = torch.fft.irfft(1 / torch.fft.rfft(c), n=D)
    inverse = product(1 / a1, back, 1 / a3)
    return torch.allclose(inverse @ product(a3, c, a1), torch.eye(D, dtype=c.dtype), atol=1e-9)


def lora_pays_two_d_a_rank() -> bool:
    b, a = random(D, 3), random(3, D, seed=1)
    return rank(b @ a) == 3 and b.numel() + a.numel() == 3 * 2 * D


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
    jacobian = torch.autograd.functional.jacobian(lambda v: product(*v), random(3, D))
    return rank(jacobian.reshape(D * D, 3 * D)) == D * D


def touches_all_directions() -> bool:
    return all(rank(matrix) == D for matrix in (torch.diag(random(D)), circulant(random(D))))


def training_adds_numbers() -> bool:
    vectors = random(3, D).requires_grad_()
    before = vectors.numel()
    optimizer = torch.optim.SGD([vectors], lr=0.01)
    product(*vectors).square().sum().backward()
    optimizer.step()
    return vectors.numel() != before or before != parameter_count(D, D)


HOLD = {
    "3": {
        "A circulant treats every place alike: shift $x$ and the result shifts with it.": (
            commutes_with_a_shift
        ),
        "A **diagonal** matrix says just that, by scaling each place by a number of its own.": (
            a_diagonal_does_not
        ),
        "an entry is $a_3[i]\\;c_2[(i-j) \\bmod d]\\;a_1[j]$": entry_is_a_product_of_three,
        "These are $3d$ numbers in all.": lambda: parameter_count(D, D, m=2) == 3 * D,
        "to apply it, scale $x$, multiply by the circulant with FFTs as before, and scale again": (
            is_applied_without_the_matrix
        ),
        "Its **rank** is full unless a number of $a_1$, of $a_3$ or of $\\mathrm{FFT}(c_2)$ is zero": (
            rank_is_full_unless_a_number_is_zero
        ),
        "each of the three factors can then be inverted, and so can their product": factors_are_inverted,
        "LoRA's $BA$ pays $2d$ numbers for every single rank.": lora_pays_two_d_a_rank,
        "The **singular values** $\\sigma_k$ say how much a matrix stretches each of $d$ perpendicular "
        "directions $v_k$ of length 1: $\\Delta W = \\sum_k \\sigma_k\\,u_k v_k^\\top$.": (
            singular_values_are_stretches
        ),
        "The rank counts those above zero.": rank_counts_singular_values_above_zero,
        "They are not: 3d numbers cannot describe all d² entries.": lambda: not holds_every_matrix(),
        "Full rank is not full freedom.": lambda: not holds_every_matrix(),
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
    "3": {
        "A network is not like that, feature 5 may matter and feature 6 not.",
        "CDVFT puts one before the circulant and one after it:",
        "Nobody has to write the matrix down:",
    },
}
TRUE = {
    "3": {
        "Because the three factors are large enough to hold every matrix": holds_every_matrix,
        "Because a product of invertible matrices is invertible, however few numbers they hold": lambda: (
            factors_are_inverted() and parameter_count(D, D) < D * D
        ),
        "Because training adds more numbers": training_adds_numbers,
    },
}


test_what_is_said_holds, test_no_sentence_is_left_out, test_the_graded_answer_is_the_true_one = word_tests(
    HOLD, SAY_NOTHING, TRUE
)
