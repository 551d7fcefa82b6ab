"""The lesson on the product by FFT, sentence by sentence: what is said of waves and work is computed."""

from __future__ import annotations

import math

import torch
from lesson_words import word_tests
from matrices import random
from test_circulant_words import one_number_alone_moves
from torch import Tensor

from cdvft.circulant import circulant, circulant_matmul
from cdvft.cost.flops import complex_products, real_fft_flops

D = 12


def wave(k: int, d: int = D) -> Tensor:
    """exp(2 pi i k n / d), n = 0 ... d - 1."""
    return torch.exp(2j * math.pi * k * torch.arange(d, dtype=torch.float64) / d)


def work(d: int) -> float:
    """FLOPs of circ(c) x by FFT with FFT(c) known, as the lesson's numbers count them."""
    return 2 * real_fft_flops(d) + complex_products(d // 2 + 1, 1)


def is_a_sum_of_waves() -> bool:
    x = random(D)
    summed = sum((value * wave(k) / D for k, value in enumerate(torch.fft.fft(x))), 0 * wave(0))
    return torch.allclose(summed.real, x) and bool(summed.imag.abs().max() < 1e-12)


def fft_grows_as_d_log_d() -> bool:
    per_step = {real_fft_flops(d) / (d * math.log2(d)) for d in (16, 256, 4096)}
    return max(per_step) - min(per_step) < 1e-9 and max(per_step) < 5


def a_wave_stays_a_wave() -> bool:
    """Its eigenvalue FFT(c)_k makes it larger or smaller by its size, and moves it by its phase."""
    c = random(D)
    values = torch.fft.fft(c)
    kept = all(torch.allclose(circulant(c).to(values.dtype) @ wave(k), values[k] * wave(k)) for k in range(D))
    shifted = all(torch.allclose(wave(k).roll(1), wave(k) * wave(k)[-1]) for k in range(D))
    return kept and shifted


def is_diagonal_among_waves() -> bool:
    c = random(D)
    basis = torch.stack([wave(k) for k in range(D)], dim=1) / D**0.5
    seen = basis.conj().T @ circulant(c).to(basis.dtype) @ basis
    return torch.allclose(seen, torch.diag(torch.fft.fft(c)))


def is_fft_multiply_back() -> bool:
    c, x = random(D), random(D, seed=1)
    by_fft = torch.fft.ifft(torch.fft.fft(c) * torch.fft.fft(x)).real
    return torch.allclose(circulant(c) @ x, by_fft) and torch.allclose(circulant_matmul(x, c), by_fft)


def multiplications(d: int) -> tuple[int, int]:
    """Of a real FFT of length d, a power of two, by radix 2, and of the product of two half spectra.

    Of a butterfly's factors exp(-2 pi i k / d) only those count that are no 1, -1, i or -i; real input needs
    the k under d / 4 alone, since the others are conjugates. At an eighth of a turn both parts of the factor
    are sqrt(1/2), which takes two multiplications; others take four.
    """
    own = sum(2 if 8 * k == d else 4 for k in range(1, d // 4 + 1) if 4 * k != d)
    inside = own + 2 * multiplications(d // 2)[0] if d > 4 else 0
    return inside, 2 + 4 * (d // 2 - 1)


def eight_numbers() -> tuple[int, int, int]:
    """Multiplications of the FFT, the product, and the way back, which undoes the same butterflies."""
    transform, product = multiplications(8)
    return transform, product, transform


def one_entry_scales_every_wave_by_one() -> bool:
    c, x = torch.zeros(8, dtype=torch.float64), random(8)
    c[0] = 1
    ones = torch.ones(8, dtype=torch.complex128)
    return torch.allclose(torch.fft.fft(c), ones) and torch.allclose(circulant(c) @ x, x)


def is_two_of_half_the_length() -> bool:
    """X[k] = even[k] + e^(-2 pi i k / d) odd[k], and X[k + d / 2] the same with minus: d sums."""
    x = random(16)
    even, odd = torch.fft.fft(x[::2]), torch.fft.fft(x[1::2])
    turned = wave(-1, 16)[:8] * odd
    return torch.allclose(torch.cat([even + turned, even - turned]), torch.fft.fft(x))


def factors_of_eight_are_units_but_one() -> bool:
    """The parts of exp(-2 pi i k / 8) are 0, 1, -1 and, up to the sign, sqrt(1/2) alone."""
    parts = {round(abs(part), 12) for one in wave(-1, 8) for part in (one.real.item(), one.imag.item())}
    return parts == {0.0, 1.0, round(math.sqrt(0.5), 12)} and eight_numbers()[0] < 8


HOLD = {
    "fft": {
        "A circulant adds up shifted copies of $x$": one_number_alone_moves,
        "a shifted wave is the same wave, moved along. So it cannot mix waves: it scales each by a number of "
        "$\\mathrm{FFT}(c)$, and moves it.": a_wave_stays_a_wave,
        "FFT(1, 0, …, 0) = (1, 1, …, 1): each wave comes out as it went in.": (
            one_entry_scales_every_wave_by_one
        ),
        "8 numbers take 64 multiplications row by row, and 18 through the waves.": lambda: (
            (8 * 8, sum(eight_numbers())) == (64, 18)
        ),
        "16 times the length is 256 times the work row by row, as d², and about 24 times by FFT, as "
        "d log d.": lambda: 16**2 == 256 and round(work(4096) / work(256)) in (23, 24, 25),
        "All values of FFT(c) are 1: every wave comes out as it went in, and circ(c) x is x.": (
            one_entry_scales_every_wave_by_one
        ),
        "$$\\mathrm{circ}(c)\\,x = \\mathrm{IFFT}\\big(\\mathrm{FFT}(c) \\odot "
        "\\mathrm{FFT}(x)\\big)$$ where $\\odot$ multiplies number by number, and $\\mathrm{FFT}(c)$ is "
        "known.": lambda: is_a_sum_of_waves() and is_fft_multiply_back(),
        "2 for the FFT of x, 14 to scale its waves, and 2 for the way back.": lambda: (
            eight_numbers() == (2, 14, 2)
        ),
        "An FFT this short mostly adds: of its factors only √½ differs from 1, −1, i and −i, and "
        "these need no multiplication.": factors_of_eight_are_units_but_one,
        "In the basis of waves a circulant is a **diagonal** matrix, and the numbers $\\mathrm{FFT}(c)$ are "
        "its eigenvalues.": is_diagonal_among_waves,
        "Row by row takes $d$ multiplications for each of $d$ rows: twice the length, four times the work.": (
            lambda: circulant(random(D)).numel() == D * D and (2 * D) ** 2 == 4 * D * D
        ),
        "A fast Fourier transform of an even number $d$ of values is two of $d/2$, and about $d$ steps that "
        "join them, sums and products: twice the length, twice the work and one more round. For $d$ a power "
        "of two that makes $\\log_2 d$ rounds.": lambda: (
            is_two_of_half_the_length() and fft_grows_as_d_log_d()
        ),
        "Counted in multiplications, the waves win at every power of two from 2 on.": lambda: all(
            2 * multiplications(2**k)[0] + multiplications(2**k)[1] < 4**k for k in range(1, 13)
        ),
        "That is row by row, where work grows as d².": lambda: 4096**2 / 256**2 == 256,
        "By FFT it grows as d log₂ d.": fft_grows_as_d_log_d,
        "16 times the length, and log₂ d grows from 8 to 12: 16 × 12 / 8 = 24.": lambda: (
            (4096 / 256, math.log2(256), math.log2(4096), 16 * 12 / 8) == (16, 8, 12, 24)
        ),
        "The length gives 16, but log₂ d grows too, from 8 to 12.": lambda: work(4096) / work(256) > 20,
    },
}
# Sentences that say what is wanted or named, and nothing that could be false.
SAY_NOTHING: dict[str, set[str]] = {
    "fft": {
        "In time they may not:",
        "multiplying matrices is what processors do best.",
        "*Measure* says from which length on the waves win here.",
    }
}
TRUE = {
    "fft-one": one_entry_scales_every_wave_by_one,
    "fft-eight": lambda: sum(eight_numbers()),
    "fft": {
        answer: lambda ratio=ratio: math.isclose(work(4096) / work(256), ratio, rel_tol=0.1)
        for answer, ratio in (("256 times", 256), ("About 24 times", 24), ("16 times", 16))
    },
}


test_what_is_said, test_nothing_is_left_out, test_grades = word_tests(HOLD, SAY_NOTHING, TRUE)
