"""Two lessons, sentence by sentence: what longer products and blocks reach is computed."""

from __future__ import annotations

import math

import torch
from lesson_words import word_tests
from matrices import filled, random, rank
from test_low_rank_words import TRUE as OF_LOW_RANK
from test_low_rank_words import fills_few_dimensions, generic_rank_is_full, rank_one_is_reached
from torch import Tensor

from benchmarks.fit_matrix import factors_needed
from cdvft import cost
from cdvft.blocks import parameter_count, partition
from cdvft.circulant import block_circulant, block_circulant_matmul, cd_product, circulant
from cdvft.cost import flops
from cdvft_app.approximate import fit_block_circulant, fit_diagonal_blocks, fit_low_rank, make_target
from cdvft_app.ui.learn.tab import _fixed

# Longer products: the recorded fits that its plot shows
RECORDED = {one["key"]: one for one in _fixed("reach")["recorded"]["targets"]}


def recorded_error(key: str, m: int) -> float:
    return RECORDED[key]["fits"][m - 1]["error"]


def error_of_lora(key: str, r: int) -> float:
    target = torch.tensor(RECORDED[key]["target"], dtype=torch.float64).reshape(10, 10)
    return fit_low_rank(target, r).error


def parameters_of_lora(n: int, r: int) -> int:
    shape = cost.Shape("x", n, n)
    return cost.estimate("lora", [shape], batch=1, sequence=1, r=r).trainable_parameters if r else 0


def counting_holds() -> bool:
    return all(filled(n, m) <= min(n * n, (2 * m - 1) * (n - 1) + 1) for n in (4, 5, 7) for m in (2, 3))


def scales_move_between_factors() -> bool:
    a1, c2, a3 = random(3, 6)
    written = torch.diag(a3) @ circulant(c2) @ torch.diag(a1)
    return torch.allclose(torch.diag(2 * a3) @ circulant(c2 / 6) @ torch.diag(3 * a1), written)


def rank_two_is_met_by_seven_factors() -> bool:
    """Four diagonals around three circulants, of real numbers; the theorem allows nine factors.

    U V^T of rank 2 is P circ(1, 0, 1, 0, ...) Q: row i of P holds row i of U at its places i and i - 1,
    column j of Q row j of V at j and j + 1. P and Q have two wrapped diagonals, which one circulant makes
    between two diagonals. Source of the theorem: A. Araujo, B. Negrevergne, Y. Chevaleyre, J. Atif,
    Understanding and Training Deep Diagonal Circulant Neural Networks, ECAI 2020 (arXiv 1901.10255).
    """
    n = 10
    u, v = random(n, 2).abs(), random(n, 2, seed=1).abs()  # of positive numbers all factors are real
    places = torch.arange(n)
    parity = places % 2

    def two_diagonals(on: Tensor, below: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """a, c, b with diag(a) circ(c) diag(b) = diag(on) + diag(below) S; S moves down by one place."""
        ratios = on / below
        step = ratios.prod() ** (-1 / n)
        b = torch.cumprod(step * ratios, 0)
        c = torch.zeros(n, dtype=on.dtype)
        c[0], c[1] = 1, step
        return on / b, c, b

    a7, c6, a5 = two_diagonals(u[places, parity], u[places, 1 - parity])
    a3, c2, a1 = two_diagonals(v[places, parity], v[places - 1, parity])
    built = cd_product([a1, a3, a5, a7], [c2, 1.0 - parity.double(), c6])
    return 7 <= 4 * 2 + 1 and rank(built) == 2 and torch.allclose(built, u @ v.T)


def longer_products_reach_more() -> bool:
    errors = [[round(fit["error"], 6) for fit in one["fits"]] for one in RECORDED.values()]
    return filled(7) < filled(7, 3) and all(one == sorted(one, reverse=True) for one in errors)


def is_the_product_of_all_factors() -> bool:
    vectors = random(5, 6)
    a1, c2, a3, c4, a5 = vectors
    written = torch.diag(a5) @ circulant(c4) @ torch.diag(a3) @ circulant(c2) @ torch.diag(a1)
    return torch.allclose(cd_product([a1, a3, a5], [c2, c4]), written)


def lora_is_exact_from_the_rank_on() -> bool:
    change = random(16, 3) @ random(3, 16, seed=1)
    fit = fit_low_rank(change, 3)
    return fit.error < 1e-12 < fit_low_rank(change, 2).error and fit.parameters == 2 * 3 * 16


def low_rank_target_takes_eight_n() -> bool:
    target = make_target("low_rank", 10)
    return rank(target) == 4 and fit_low_rank(target, 4).parameters == 8 * 10


# Blocks


def blocks(d_out: int, d_in: int, p: int) -> tuple[Tensor, Tensor]:
    """First columns of random blocks, and the matrix they make."""
    part = partition(d_out, d_in, p)
    c = random(part.q1, part.q2, p)
    return c, block_circulant(c, d_out, d_in)


def each_block_is_a_circulant() -> bool:
    c, dense = blocks(8, 12, 4)
    rows, columns = c.shape[:2]
    seen = [dense[4 * i : 4 * i + 4, 4 * j : 4 * j + 4] for i in range(rows) for j in range(columns)]
    made = [circulant(c[i, j]) for i in range(rows) for j in range(columns)]
    rounded_up = blocks(9, 14, 4)[0].shape == (3, 4, 4)
    return (rows, columns) == (2, 3) and rounded_up and all(map(torch.equal, seen, made))


def is_the_sum_over_blocks() -> bool:
    c, dense = blocks(8, 12, 4)
    x = random(12, seed=1)
    parts = torch.fft.ifft((torch.fft.fft(c) * torch.fft.fft(x.reshape(3, 4))).sum(1)).real
    return torch.allclose(parts.flatten(), dense @ x)


def overhangs_are_padded_and_cut() -> bool:
    c, dense = blocks(9, 14, 4)
    x = random(14, seed=1)
    whole = block_circulant(c, 12, 16) @ torch.cat([x, x.new_zeros(2)])
    return torch.allclose(whole[:9], dense @ x) and torch.allclose(whole[:9], block_circulant_matmul(x, c, 9))


def many_blocks(d_out: int, d_in: int, p: int) -> int:
    part = partition(d_out, d_in, p)
    return part.q1 * part.q2


def numbers(d_out: int, d_in: int, p: int) -> int:
    return p * many_blocks(d_out, d_in, p)


def trains_the_sum() -> bool:
    """3 x 4 blocks of side 16, and 2 x 3 of side 28."""
    return [parameter_count(48, 64, 2, p) - (64 + 48) for p in (16, 28)] == [3 * 4 * 16, 2 * 3 * 28]


def smaller_blocks_cost_more() -> bool:
    costs = [
        cost.estimate("cdvft", [cost.Shape("x", 768, 768)], batch=1, sequence=128, m=2, block_size=p)
        for p in (768, 384, 192, 96, 48)
    ]
    parameters = [one.trainable_parameters for one in costs]
    flops = [one.flops_per_step for one in costs]
    return all(len(set(one)) == len(one) and one == sorted(one) for one in (parameters, flops))


def blocks_of_one_are_free() -> bool:
    c, dense = blocks(6, 5, 1)
    return c.numel() == dense.numel() and torch.equal(c.reshape(6, 5), dense)


def half_the_side_doubles_the_numbers() -> bool:
    """Of the 48 x 64 layer: four times as many blocks, each with half of them."""
    many = [many_blocks(48, 64, p) for p in (16, 8)]
    return many[1] == 4 * many[0] and numbers(48, 64, 8) == 2 * numbers(48, 64, 16)


def cdvft_scales_rows_and_columns() -> bool:
    c, dense = blocks(32, 32, 16)
    a1, a3 = random(32), random(32, seed=1)
    return torch.allclose(cd_product([a1, a3], [c]), a3[:, None] * dense * a1)


WIDER = cost.Shape("x", 1536, 384)


def products_of_spectra(p: int) -> float:
    """FLOPs of the block products alone: what is left of a token's way without transforms and diagonals."""
    part = partition(1536, 384, p)
    transforms = (part.q1 + part.q2) * flops.real_fft_flops(p)
    return flops.cdvft(WIDER, 2, p).forward_per_token - transforms - (1536 + 384)


def diagonals_reach_what_blocks_cannot() -> bool:
    c, _ = blocks(12, 8, 4)
    scaled = cd_product([random(8), random(12, seed=1)], [c])
    return fit_diagonal_blocks(scaled, 4).error < 1e-6 and fit_block_circulant(scaled, 4).error > 0.1


HOLD = {
    "reach": {
        "Most matrices are not a product of this form.": lambda: fills_few_dimensions(10),
        "Longer products, of $m$ diagonals around $m - 1$ circulants, reach more of them.": (
            longer_products_reach_more
        ),
        "$$\\begin{aligned} \\Delta W = {} & \\mathrm{diag}(a_{2m-1})\\,\\mathrm{circ}(c_{2m-2}) \\cdots "
        "\\\\ & \\cdots \\mathrm{circ}(c_2)\\,\\mathrm{diag}(a_1) \\end{aligned}$$": (
            is_the_product_of_all_factors
        ),
        "proved that $2n - 1$ such factors, $m = n$, are enough for a generic complex": lambda: all(
            factors_needed(n)[1] == n for n in range(2, 20)
        ),
        "$2m-1$ factors fill at most $(2m-1)(n-1)+1$ dimensions of $n^2$: each further one brings $n$ "
        "numbers, and a scale can be moved from one to another.": lambda: (
            counting_holds() and scales_move_between_factors()
        ),
        "To a complex matrix of rank $k$, where $k$ divides $n$, $4k + 1$ factors come as close as one "
        "likes": rank_two_is_met_by_seven_factors,
        "LoRA's numbers are multiples of $2n$, and CDVFT's are odd multiples of $n$: at each $m$ LoRA"
        " has $n$ fewer, or, with one more rank, $n$ more.": lambda: all(
            parameter_count(10, 10, m=m) - parameters_of_lora(10, m - 1) == 10
            and parameters_of_lora(10, m) - parameter_count(10, 10, m=m) == 10
            for m in range(2, 9)
        ),
        "LoRA is exact as soon as its $r$ reaches a target's rank": lora_is_exact_from_the_rank_on,
        "This random matrix, m = 2: 30 numbers leave 63 %; LoRA leaves 84 % with 20, 66 % with 40.": lambda: (
            parameter_count(10, 10, m=2) == 30
            and round(100 * recorded_error("gaussian", 2)) == 63
            and [round(100 * error_of_lora("gaussian", r)) for r in (1, 2)] == [84, 66]
            and [parameters_of_lora(10, r) for r in (1, 2)] == [20, 40]
        ),
        "m = 2 gives a thin set of matrices, of 3n − 2 dimensions, mostly of full rank.": lambda: (
            filled(7) == 3 * 7 - 2 and generic_rank_is_full(10)
        ),
        "for Low rank, of rank 4, with $8n$.": low_rank_target_takes_eight_n,
        "For Low rank the search ends 0.1 % off with $m = 5$, 0.01 % with $m = 6$, and is exact with "
        "$m = 7$;": lambda: (
            round(100 * recorded_error("low_rank", 5), 1) == 0.1
            and round(100 * recorded_error("low_rank", 6), 2) == 0.01
            and recorded_error("low_rank", 7) < 1e-9
        ),
        "for the permutation it ends 45 % off with $m = 5$, and is exact with $m = 8$.": lambda: (
            round(100 * recorded_error("permutation", 5)) == 45 and recorded_error("permutation", 8) < 1e-9
        ),
        "From $m = 6$ on that is no gain: the factors hold 110 numbers and more, the matrix 100.": lambda: (
            parameter_count(10, 10, m=5) < 10 * 10 < parameter_count(10, 10, m=6) == 110
        ),
        "LoRA, whose change is BA with r columns in B and r rows in A, ends 84 % off with r = 1.": lambda: (
            round(100 * error_of_lora("gaussian", 1)) == 84
        ),
        "It takes 2n numbers, and CDVFT 3n.": lambda: (
            fit_low_rank(make_target("gaussian", 10), 1).parameters == 2 * 10
            and parameter_count(10, 10, m=2) == 3 * 10
        ),
        "Almost no matrix is such a product": lambda: fills_few_dimensions(10),
        "for Random, the search with m = 2 found nothing near.": lambda: recorded_error("gaussian", 2) > 0.5,
        "They are mostly of full rank.": lambda: generic_rank_is_full(10),
        "But every matrix of rank 1 is among them: let c be all ones.": lambda: rank_one_is_reached(10),
        "3n − 2 dimensions out of n².": lambda: filled(7) == 3 * 7 - 2,
    },
    "blocks": {
        "CDVFT cuts them into $p \\times p$ blocks, each a circulant of its own.": each_block_is_a_circulant,
        "The $d_{out} \\times d_{in}$ layer has $q_1 = \\lceil d_{out}/p \\rceil$ rows of $q_2 = \\lceil "
        "d_{in}/p \\rceil$ blocks.": each_block_is_a_circulant,
        "Each output block adds up those of its row": is_the_sum_over_blocks,
        "h_i = \\sum_j \\mathrm{IFFT}\\big(\\mathrm{FFT}(c_{ij}) \\odot \\mathrm{FFT}(x_j)\\big)": (
            is_the_sum_over_blocks
        ),
        "One diagonal stands before them, the other after.": cdvft_scales_rows_and_columns,
        "Where $p$ does not divide a side, the last blocks hang over the edge: the input is padded "
        "with zeros and the output cut, as with $p = 28$ here.": lambda: (
            overhangs_are_padded_and_cut() and 64 % 28 > 0
        ),
        "**From 384 to 1,536** with $p = 384$ takes 3,456 numbers: 1,920 on the diagonals and four blocks of "
        "384. LoRA with $r = 8$, $8 \\times 384$ and $1536 \\times 8$, takes 15,360.": lambda: (
            parameter_count(1536, 384, 2, 384) == 3456 == 384 + 1536 + 4 * 384
            and many_blocks(1536, 384, 384) == 4
            and 8 * 384 + 1536 * 8 == 15_360
            and cost.estimate("lora", [WIDER], batch=1, sequence=1, r=8).trainable_parameters == 15_360
        ),
        "The FFT of $p$ real numbers, $p$ even, has $p/2 + 1$ values of its own, so the blocks take $q_1 q_2 "
        "(p/2 + 1)$ products.": lambda: all(
            len(torch.fft.rfft(random(p))) == p // 2 + 1
            and math.isclose(products_of_spectra(p), 8 * many_blocks(1536, 384, p) * (p / 2 + 1))
            for p in (6, 24, 96)
        ),
        "Half the $p$ means four times as many blocks, with about half the products in each: about "
        "twice the products.": lambda: (
            many_blocks(1536, 384, 48) == 4 * many_blocks(1536, 384, 96)
            and 1.9 < products_of_spectra(48) / products_of_spectra(96) < 2.1
        ),
        "With $p = 3$, each of them counted as one of complex numbers, that layer takes nine tenths of the "
        "work of the whole matrix.": lambda: (
            round(flops.cdvft(WIDER, 2, 3).forward_per_token / (2 * 1536 * 384), 1) == 0.9
        ),
        "Half the side p means four times as many blocks, and twice the numbers.": (
            half_the_side_doubles_the_numbers
        ),
        "**The diagonals** give each row and each column a scale of its own, for $d_{in} + d_{out}$ "
        "numbers. Blocks alone cannot, unless $p = 1$.": lambda: (
            diagonals_reach_what_blocks_cannot() and blocks_of_one_are_free()
        ),
        "d_{in} + d_{out} + q_1\\,q_2\\,p": trains_the_sum,
        "A small $p$ holds more of them and costs more": smaller_blocks_cost_more,
        "at $p = 1$ every entry would be free": blocks_of_one_are_free,
        "Four times as many blocks, each with half the numbers: twice as many in all.": (
            half_the_side_doubles_the_numbers
        ),
    },
}
# What is wanted, named, or left open, and nothing that could be false.
SAY_NOTHING = {
    "reach": {
        "Where a search ends far off, something closer may still exist.",
        "Counting tells what is too few:",
        "For fewer, **we know of no useful bound on the error**.",
        "So it has to be measured.",
        "Only experiments can tell whether a task needs just those.",
    },
    "blocks": {"Many layers are not square."},
}
TRUE = {
    "reach-random": lambda: 100 * recorded_error("gaussian", 2),
    "reach": OF_LOW_RANK["reach"],
    "blocks": lambda: numbers(48, 64, 8) if numbers(48, 64, 16) == 192 else 0,
}


test_what_is_said, test_nothing_is_left_out, test_grades = word_tests(HOLD, SAY_NOTHING, TRUE)
