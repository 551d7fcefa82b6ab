"""Lessons 1 and 2, sentence by sentence: what is said of circulants and waves is computed."""

from __future__ import annotations

import math

import torch
from lesson_words import LESSON, word_tests
from torch import Tensor

from cdvft.circulant import circulant, circulant_matmul
from cdvft.cost.flops import complex_products, real_fft_flops
from cdvft_app.shapes.known_models import KNOWN_MODELS

D = 12


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def wave(k: int, d: int = D) -> Tensor:
    """exp(2 pi i k n / d), n = 0 ... d - 1."""
    return torch.exp(2j * math.pi * k * torch.arange(d, dtype=torch.float64) / d)


def work(d: int) -> float:
    """FLOPs of circ(c) x by FFT with FFT(c) known, as the lesson's numbers count them."""
    return 2 * real_fft_flops(d) + complex_products(d // 2 + 1, 1)


# Lesson 1


def columns_move_down_by_one() -> bool:
    matrix = circulant(random(D))
    return all(torch.equal(matrix[:, j + 1], matrix[:, j].roll(1)) for j in range(D - 1))


def is_the_formula() -> bool:
    c = random(D)
    return all(circulant(c)[i, j] == c[(i - j) % D] for i in range(D) for j in range(D))


def fills_one_diagonal() -> bool:
    """Each number stands once in every row and every column, where i - j is its place modulo d."""
    places = circulant(torch.arange(D))
    return all(
        (places == k).sum(0).eq(1).all() and (places == k).sum(1).eq(1).all() for k in places[:, 0].tolist()
    )


def entries(d: int) -> tuple[int, int, int]:
    """Different numbers, entries, and how often each number is used."""
    numbers, used = torch.unique(circulant(torch.arange(d)), return_counts=True)
    (times,) = set(used.tolist())
    return len(numbers), d * d, times


def models_of(width: int) -> int:
    """Of language: GPT-2, too, which is told by its name alone."""
    sizes = [model.configuration for model in KNOWN_MODELS if model.configuration.get("model_type") != "vit"]
    return sum(one.get("hidden_size") == width or one.get("model_type") == "gpt2" for one in sizes)


# Lesson 2


def slides_multiplies_and_adds() -> bool:
    """sum_k c_k x shifted by k; also "A circulant adds up shifted copies of x"."""
    c, x = random(D), random(D, seed=1)
    slid = sum((c[k] * x.roll(k) for k in range(D)), torch.zeros(D, dtype=x.dtype))
    return torch.allclose(circulant(c) @ x, slid)


def a_bell_smooths() -> bool:
    d = 96
    k = torch.arange(d, dtype=torch.float64)
    bell = torch.exp(-0.5 * (torch.minimum(k, d - k) / (d / 20)) ** 2)
    x = ((k > d / 4) & (k < 0.7 * d)) + 0.5 * (
        torch.rand(d, generator=torch.Generator().manual_seed(0)) - 0.5
    )
    roughness = [float(y.diff().abs().sum()) for y in (x.double(), circulant(bell / bell.sum()) @ x.double())]
    return roughness[1] < 0.5 * roughness[0]


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


HOLD = {
    "1": {
        "A matrix of size $d \\times d$ has $d^2$ entries": lambda: circulant(random(D)).numel() == D * D,
        "A **circulant** is made of $d$: its first column $c$.": lambda: torch.equal(
            circulant(random(D))[:, 0], random(D)
        ),
        "Each next column is the one before, moved down one place, and what drops out at the bottom comes "
        "back at the top. It is a shift register": columns_move_down_by_one,
        "\\mathrm{circ}(c)_{ij} = c_{(i-j) \\bmod d}": is_the_formula,
        "Every number fills one whole diagonal, which goes on around the edge.": fills_one_diagonal,
        "768 numbers fill 589,824 entries: each is used 768 times.": lambda: (
            entries(768) == (768, 589_824, 768)
        ),
        "That would be two vectors. Count the bars: one number for each row": lambda: 1536 == 2 * 768,
        "So many entries it has. But most repeat": lambda: entries(768)[0] < 768**2 / 2,
    },
    "2": {
        "Multiplying by a circulant slides $c$ along $x$, multiplies and adds: a **circular "
        "convolution**": slides_multiplies_and_adds,
        "Here $c$ is a bell, so the product is $x$ smoothed.": a_bell_smooths,
        "Row by row that costs $d^2$ multiplications.": lambda: circulant(random(D)).numel() == D**2,
        "writes a vector as a sum of waves": is_a_sum_of_waves,
        "in about $d \\log_2 d$ steps": fft_grows_as_d_log_d,
        "A circulant adds up shifted copies of $x$": slides_multiplies_and_adds,
        "a shifted wave is the same wave, moved along. So it cannot mix waves: it only makes each one larger "
        "or smaller, and moves it.": a_wave_stays_a_wave,
        "In the basis of waves it is a **diagonal** matrix, and the numbers $\\mathrm{FFT}(c)$ are its "
        "eigenvalues.": is_diagonal_among_waves,
        "\\mathrm{circ}(c)\\,x = \\mathrm{IFFT}\\big(\\mathrm{FFT}(c) \\odot "
        "\\mathrm{FFT}(x)\\big)": is_fft_multiply_back,
        "That is row by row, where work grows as d².": lambda: 4096**2 / 256**2 == 256,
        "By FFT it grows as d log₂ d.": fft_grows_as_d_log_d,
        "16 times the length, and log₂ d grows from 8 to 12: 16 × 12 / 8 = 24.": lambda: (
            (4096 / 256, math.log2(256), math.log2(4096), 16 * 12 / 8) == (16, 8, 12, 24)
        ),
        "The length gives 16, but log₂ d grows too, from 8 to 12.": lambda: work(4096) / work(256) > 20,
    },
}
# Sentences that say what is wanted or named, and nothing that could be false.
SAY_NOTHING = {
    "1": {
        "Fine-tuning changes a weight matrix $W$ by some $\\Delta W$.",
        "So we look for matrices that are made of few numbers.",
        "count the bars, not the squares.",
    },
    "2": {"Why waves?"},
}
TRUE = {
    "1": {
        "768": lambda: entries(768)[0] == 768,
        "1,536": lambda: entries(768)[0] == 1536,
        "589,824": lambda: entries(768)[0] == 589_824,
    },
    "2": {
        answer: lambda ratio=ratio: math.isclose(work(4096) / work(256), ratio, rel_tol=0.1)
        for answer, ratio in (("256 times", 256), ("About 24 times", 24), ("16 times", 16))
    },
}


test_what_is_said_holds, test_no_sentence_is_left_out, test_the_graded_answer_is_the_true_one = word_tests(
    HOLD, SAY_NOTHING, TRUE
)


def test_many_language_models_are_768_wide() -> None:
    assert "In many language models d = 768." in LESSON["1"].question.prompt
    assert models_of(768) >= 3
