"""Two lessons, sentence by sentence: what longer products and blocks reach is computed."""

from __future__ import annotations

import math

import torch
from lesson_words import word_tests
from test_low_rank_words import TRUE as OF_LOW_RANK
from test_low_rank_words import (
    fills_few_dimensions,
    generic_rank_is_full,
    random,
    rank,
    rank_one_is_reached,
)
from torch import Tensor

from cdvft import cost
from cdvft.blocks import parameter_count, partition
from cdvft.circulant import block_circulant, block_circulant_matmul, cd_product, circulant
from cdvft_app.approximate import (
    factors_needed,
    fit_low_rank,
    make_target,
)
from cdvft_app.ui.learn.tab import _fixed

# Longer products: the recorded fits that its plot shows
RECORDED = {one["key"]: one for one in _fixed("reach", "")["recorded"]["targets"]}


def recorded_error(key: str, m: int) -> float:
    return RECORDED[key]["fits"][m - 1]["error"]


def dimension(n: int, m: int) -> int:
    """Of what m diagonals around m - 1 circulants fill: the rank of the map's Jacobian at a random place."""

    def built(vectors: Tensor) -> Tensor:
        return cd_product(list(vectors[0::2]), list(vectors[1::2]))

    jacobian = torch.autograd.functional.jacobian(built, random(2 * m - 1, n))
    return rank(jacobian.reshape(n * n, -1))


def counting_holds() -> bool:
    pairs = [(n, m) for n in (4, 5, 7) for m in (2, 3)]
    return all(dimension(n, m) <= min(n * n, (2 * m - 1) * (n - 1) + 1) for n, m in pairs)


def longer_products_reach_more() -> bool:
    errors = [[round(fit["error"], 6) for fit in one["fits"]] for one in RECORDED.values()]
    return dimension(7, 2) < dimension(7, 3) and all(one == sorted(one, reverse=True) for one in errors)


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
    return (rows, columns) == (math.ceil(8 / 4), math.ceil(12 / 4)) and all(map(torch.equal, seen, made))


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


def numbers(d_out: int, d_in: int, p: int) -> int:
    part = partition(d_out, d_in, p)
    return part.q1 * part.q2 * p


def trains_the_sum() -> bool:
    return all(
        parameter_count(o, i, 2, p) == i + o + numbers(o, i, p) for o, i, p in ((48, 64, 16), (48, 64, 28))
    )


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


def many(p: int) -> int:
    """Blocks of the 48 x 64 layer."""
    part = partition(48, 64, p)
    return part.q1 * part.q2


def halving(d_out: int = 48, d_in: int = 64, p: int = 16) -> float:
    return numbers(d_out, d_in, p // 2) / numbers(d_out, d_in, p)


def cdvft_scales_rows_and_columns() -> bool:
    c, dense = blocks(32, 32, 16)
    a1, a3 = random(32), random(32, seed=1)
    return torch.allclose(cd_product([a1, a3], [c]), a3[:, None] * dense * a1)


HOLD = {
    "reach": {
        "Full rank is not everything: most matrices are no product of this form.": lambda: (
            fills_few_dimensions(10)
        ),
        "Longer products, of $m$ diagonals around $m - 1$ circulants, reach more of them": (
            longer_products_reach_more
        ),
        "$$\\begin{aligned} \\Delta W = {} & \\mathrm{diag}(a_{2m-1})\\,\\mathrm{circ}(c_{2m-2}) \\cdots "
        "\\\\ & \\cdots \\mathrm{circ}(c_2)\\,\\mathrm{diag}(a_1) \\end{aligned}$$": (
            is_the_product_of_all_factors
        ),
        "proved that $2n - 1$ such factors, $m = n$, are enough for a generic complex": lambda: all(
            factors_needed(n)[1] == n for n in range(2, 20)
        ),
        "$m$ factors fill at most $(2m-1)(n-1)+1$ dimensions of $n^2$": counting_holds,
        "LoRA is exact as soon as its $r$ reaches a target's rank, with $2rn$ numbers": (
            lora_is_exact_from_the_rank_on
        ),
        "Low rank, of rank 4, with $8n$.": low_rank_target_takes_eight_n,
        "For the permutation the search ends 45 % off with $m = 5$, and finds it with $m = 8$.": lambda: (
            round(100 * recorded_error("permutation", 5)) == 45 and recorded_error("permutation", 8) < 1e-9
        ),
        "Almost no matrix is such a product": lambda: fills_few_dimensions(10),
        "for Random, the search with m = 2 found nothing near.": lambda: recorded_error("gaussian", 2) > 0.5,
        "They are mostly of full rank.": lambda: generic_rank_is_full(10),
        "But every matrix of rank 1 is among them: let c be all ones.": lambda: rank_one_is_reached(10),
        "3n − 2 dimensions out of n².": lambda: dimension(7, 2) == 3 * 7 - 2,
    },
    "blocks": {
        "blocks, each a circulant of its own, $q_1 = \\lceil d_{out}/p \\rceil$ rows of $q_2 = \\lceil "
        "d_{in}/p \\rceil$": each_block_is_a_circulant,
        "Each output block adds up those of its row": is_the_sum_over_blocks,
        "h_i = \\sum_j \\mathrm{IFFT}\\big(\\mathrm{FFT}(c_{ij}) \\odot \\mathrm{FFT}(x_j)\\big)": (
            is_the_sum_over_blocks
        ),
        "The two diagonals stand before and after it, as ever.": cdvft_scales_rows_and_columns,
        "Where $p$ does not divide, the last blocks hang over the edge: the input is padded with zeros and "
        "the output cut.": overhangs_are_padded_and_cut,
        "d_{in} + d_{out} + q_1\\,q_2\\,p": trains_the_sum,
        "A small $p$ holds more of them and costs more": smaller_blocks_cost_more,
        "at $p = 1$ every entry would be free": blocks_of_one_are_free,
        "Four times as many blocks, each with half the numbers: q₁ q₂ p doubles.": lambda: halving() == 2,
        "Each block holds half as much, but there are four times as many.": lambda: (
            many(8) == 4 * many(16) and 2 * numbers(48, 64, 8) / many(8) == numbers(48, 64, 16) / many(16)
        ),
        "So do the blocks. But each new block holds only half as much.": lambda: halving() == 4 / 2,
    },
}
# What is wanted, named, or left open, and nothing that could be false.
SAY_NOTHING = {
    "reach": {
        "Where a search ends far off, something closer may still be there.",
        "Counting tells what is too few:",
        "For the small $m$ that one trains, **we know of no useful bound on the error**.",
        "So it has to be measured.",
        "Whether a task needs just those, experiments must tell.",
    },
    "blocks": {"Most layers are not square, and one circulant may say too little."},
}
TRUE = {
    "reach": OF_LOW_RANK["reach"],
    "blocks": {
        "They double": lambda: halving() == 2,
        "They stay the same": lambda: halving() == 1,
        "They become four times as many": lambda: halving() == 4,
    },
}


test_what_is_said_holds, test_no_sentence_is_left_out, test_the_graded_answer_is_the_true_one = word_tests(
    HOLD, SAY_NOTHING, TRUE
)
