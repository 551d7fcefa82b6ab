"""The lesson on four shapes of change, sentence by sentence: what each method reaches is computed."""

from __future__ import annotations

import math

import torch
from lesson_words import word_tests
from matrices import product, random, rank
from test_forms_words import blocks, cdvft_scales_rows_and_columns, lora_is_exact_from_the_rank_on
from test_low_rank_words import TRUE as OF_LOW_RANK
from test_low_rank_words import generic_rank_is_full, lora_is_smaller_nowhere, smaller_on_every_change
from torch import Tensor

from cdvft import cost
from cdvft.circulant import circulant
from cdvft.factors import effective_rank, singular_values
from cdvft_app.approximate import fit_block_circulant, fit_diagonal_blocks, fit_fourierft, fit_low_rank

# 96 numbers for a 32 x 32 layer
D, BUDGET = 32, 96


def wave(u: int, v: int) -> Tensor:
    values = torch.zeros(D, D, dtype=torch.float64)
    values[u, v] = 1
    return torch.fft.ifft2(values).real * D * D


def waves_are_spread() -> bool:
    """Half of a wave's entries at least are not zero."""
    places = [(u, v) for u in range(0, D, 4) for v in range(0, D, 3)]
    return all(int((wave(u, v).abs() > 1e-9).sum()) >= D * D // 2 for u, v in places)


def turns() -> Tensor:
    """2 pi (3 i + 5 j) / 32 at each entry."""
    i, j = torch.arange(D)[:, None], torch.arange(D)
    return 2 * math.pi * (3 * i + 5 * j).double() / D


def waves_are_cosines() -> bool:
    return torch.allclose(wave(3, 5), turns().cos())


def sines_are_left_whole() -> bool:
    """Though all 1,024 waves are drawn."""
    return (
        fit_fourierft(turns().sin(), D * D).error > 1 - 1e-9 > 1e-9 > fit_fourierft(wave(3, 5), D * D).error
    )


def is_a_sum_of_waves() -> bool:
    fit = fit_fourierft(random(D, D), BUDGET)
    places, values = fit.factors
    summed = sum((value * wave(*place) / D**2 for place, value in zip(places.tolist(), values, strict=True)))
    return len(values) == BUDGET and torch.allclose(torch.as_tensor(summed), fit.dense)


def a_wave_that_was_not_drawn_is_left_whole() -> bool:
    """Waves of other places are perpendicular to it, and PEFT draws its places from a seed alone."""
    drawn = {tuple(place) for place in fit_fourierft(random(D, D), BUDGET).factors[0].tolist()}
    places = {tuple(place) for place in fit_fourierft(wave(3, 5), BUDGET).factors[0].tolist()}
    missed = [(u, v) for u in range(D) for v in range(D) if not {(u, v), (-u % D, -v % D)} & drawn]
    errors = [fit_fourierft(wave(*place), BUDGET).error for place in missed[:50]]
    return drawn == places and min(errors) > 1 - 1e-9


def c3a_repeats_along_a_diagonal() -> bool:
    _, dense = blocks(D, D, 16)
    return torch.equal(dense[1:16, 1:16], dense[:15, :15])


def each_method_has_its_change() -> bool:
    """For each, a change that it reaches with 96 numbers and the others, but for special cases, do not."""
    u, v = random(D), random(D, seed=1)
    a_wave = sum(wave(*place) for place in fit_fourierft(u[:, None] * v, BUDGET).factors[0][:9].tolist())
    scaled = scaled_circulant()
    others_leave = fit_block_circulant(scaled, D).error, fit_low_rank(scaled, 1).error
    return (
        fit_low_rank(torch.outer(u, v), 1).error < 1e-12 < fit_block_circulant(torch.outer(u, v), D).error
        and fit_fourierft(torch.as_tensor(a_wave), BUDGET).error < 1e-9
        and fit_block_circulant(circulant(u), D).error < 1e-12 < fit_low_rank(circulant(u), 1).error
        and min(others_leave) > 0.1
    )


def c3a_spreads_a_change_over_more_directions() -> bool:
    """The means of 50 drawn changes each, C3A's with b = 16 (64 numbers) and CDVFT's with m = 2 (96)."""
    drawn = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=drawn, dtype=torch.float64)

    def c3a() -> Tensor:
        return torch.cat([torch.cat([circulant(normal(16)) for _ in range(2)], 1) for _ in range(2)])

    ours = [effective_rank(singular_values(product(*normal(3, D)))) for _ in range(50)]
    theirs = [effective_rank(singular_values(c3a())) for _ in range(50)]
    return sum(theirs) > sum(ours) and 4 * 16 == 64


def peft_takes_blocks_that_divide_the_sides() -> bool:
    """And the lesson's picture draws no others; see tests/scripts/shapes.test.js."""
    from peft import C3AConfig, get_peft_model
    from torch import nn

    def is_taken(size: int) -> bool:
        try:
            get_peft_model(nn.Sequential(nn.Linear(D, D)), C3AConfig(block_size=size, target_modules=["0"]))
        except ValueError:
            return False
        return True

    return is_taken(16) and not is_taken(12)


def equal_budgets_are_not_equal_cost() -> bool:
    """Once a step, whatever the tokens, FourierFT pays more FLOPs than dW has entries, and no other does."""
    layer = [cost.Shape("x", 1024, 1024)]
    sizes = {"lora": {"r": 1}, "c3a": {"block_size": 512}, "cdvft": {"m": 2}, "fourierft": {"n": 3072}}
    fixed = {
        method: cost.estimate(method, layer, batch=1, sequence=1, **size).forward_flops_fixed
        for method, size in sizes.items()
    }
    return fixed.pop("fourierft") > 1024**2 > 10 * max(fixed.values())


def scaled_circulant() -> Tensor:
    return product(*random(3, D))


def diagonals_fit_exactly() -> bool:
    fit = fit_diagonal_blocks(scaled_circulant(), D)
    return fit.error < 1e-6 and fit.parameters == BUDGET


def blocks_leave_most() -> bool:
    return all(fit_block_circulant(scaled_circulant(), b).error > 0.5 for b in (16, 32))


def a_circulant_costs_blocks_32_numbers() -> bool:
    fit = fit_block_circulant(circulant(random(D)), D)
    return fit.error < 1e-12 and fit.parameters == 32


def few_directions_are_free() -> bool:
    return rank(fit_low_rank(random(D, D), 3).dense) == 3


HOLD = {
    "shapes": {
        "full freedom in a few directions, nothing outside. Rank at most $r$.": few_directions_are_free,
        "a sum of $n$ plane waves": is_a_sum_of_waves,
        "each a cosine spread over the whole matrix": lambda: waves_are_spread() and waves_are_cosines(),
        "Which ones is drawn at random before training, and of a wave that was not drawn, or of a sine, "
        "nothing can be fitted.": lambda: (
            a_wave_that_was_not_drawn_is_left_whole() and sines_are_left_whole()
        ),
        "A circulant costs it 32 numbers.": a_circulant_costs_blocks_32_numbers,
        "circulant blocks without diagonals, the same pattern all along a diagonal": (
            c3a_repeats_along_a_diagonal
        ),
        "circulant blocks whose rows and columns each have a scale": cdvft_scales_rows_and_columns,
        "The diagonals buy those scales: a circulant scaled by them is fitted exactly, where blocks "
        "alone leave most of it.": lambda: diagonals_fit_exactly() and blocks_leave_most(),
        "Which one fits depends on the change that a task needs.": each_method_has_its_change,
        "Equal budgets are not equal cost either: LoRA, C3A and CDVFT can do with the vector $x$, "
        "FourierFT builds a $d \\times d$ matrix every step.": equal_budgets_are_not_equal_cost,
        "96 numbers cannot give all 1,024 entries independently. No method can.": lambda: (
            BUDGET < D * D == 1024
        ),
        "With 96 numbers it has rank 1, and this change has full rank.": lambda: (
            BUDGET // 64 == 1 and rank(scaled_circulant()) == D
        ),
        "Its blocks have no scales for rows and columns: most of the change is left.": blocks_leave_most,
        "It is of this very form, and nothing is left.": diagonals_fit_exactly,
        "No smaller one where the change has rank 1: both reach it.": lambda: not smaller_on_every_change(),
        "LoRA, with r = 1 here, comes closer nowhere": lora_is_smaller_nowhere,
        "with more numbers it is exact once r reaches the rank": lora_is_exact_from_the_rank_on,
        "LoRA spends 64 on each rank.": lambda: fit_low_rank(random(D, D), 1).parameters == 64,
        "CDVFT touches all 32 directions, in circulant patterns.": lambda: generic_rank_is_full(D),
        "C3A and FourierFT buy it, too: full rank is not CDVFT's alone.": lambda: (
            rank(blocks(D, D, 16)[1]) == D and rank(fit_fourierft(random(D, D), BUDGET).dense) == D
        ),
        "96 numbers of CDVFT have rank 32, and 64 of LoRA rank 1.": lambda: (
            rank(scaled_circulant()) == 32
            and 3 * D == 96
            and rank(fit_low_rank(random(D, D), 1).dense) == 1
            and fit_low_rank(random(D, D), 1).parameters == 64
        ),
        "The diagonals buy a scale for each row and column, so this change is fitted exactly.": (
            diagonals_fit_exactly
        ),
        "full rank in a fixed pattern.": lambda: generic_rank_is_full(D),
        "few directions, each of them free.": few_directions_are_free,
        "Drawn at random, 64 of its numbers spread a change over more directions than 96 of CDVFT: "
        "its effective rank is higher.": lambda: (
            c3a_spreads_a_change_over_more_directions() and peft_takes_blocks_that_divide_the_sides()
        ),
    },
}
# What is wanted, named, or left open, and nothing that could be false.
SAY_NOTHING = {
    "shapes": {
        "CDVFT:",
        "LoRA:",
        "Four methods make a change $\\Delta W$ of a layer.",
        "Give each at most 96 trained numbers, and see what it can express with them.",
        "- **LoRA**, $\\Delta W = BA$:",
        "- **FourierFT**:",
        "- **C3A**, circular convolution:",
        "- **CDVFT**:",
    },
}
TRUE = {
    "shapes-fit": {
        "LoRA": lambda: fit_low_rank(scaled_circulant(), BUDGET // 64).error < 1e-6,
        "C3A": lambda: any(fit_block_circulant(scaled_circulant(), b).error < 1e-6 for b in (16, 32)),
        "CDVFT": lambda: fit_diagonal_blocks(scaled_circulant(), D).error < 1e-6,
    },
    "shapes-rank": lambda: rank(scaled_circulant()) if BUDGET == 3 * D else 0,
    "shapes": OF_LOW_RANK["shapes"],
}


test_what_is_said, test_nothing_is_left_out, test_grades = word_tests(HOLD, SAY_NOTHING, TRUE)
