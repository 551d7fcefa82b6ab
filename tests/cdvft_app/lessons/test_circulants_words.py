"""Lessons 1 to 3, sentence by sentence: what is said of circulants, waves, diagonals and rank is computed."""

from __future__ import annotations

import math

import torch
from lesson_words import LESSON, word_tests
from torch import Tensor

from cdvft.blocks import parameter_count
from cdvft.circulant import circulant, circulant_matmul
from cdvft.cost.flops import complex_products, real_fft_flops
from cdvft_app.shapes.known_models import KNOWN_MODELS

D = 12


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rank(matrix: Tensor) -> int:
    return int(torch.linalg.matrix_rank(matrix))


def product(a3: Tensor, c: Tensor, a1: Tensor) -> Tensor:
    return a3[:, None] * circulant(c) * a1


def wave(k: int, d: int = D) -> Tensor:
    """exp(2 pi i k n / d), n = 0 ... d - 1."""
    return torch.exp(2j * math.pi * k * torch.arange(d, dtype=torch.float64) / d)


def with_zero(vector: Tensor) -> Tensor:
    return torch.cat([vector[:-1], torch.zeros(1, dtype=vector.dtype)])


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


# Lesson 3


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
    "1": {
        "Fine-tuning changes a weight matrix $W$ by some $\\Delta W$.",
        "So we look for matrices that are made of few numbers.",
        "count the bars, not the squares.",
    },
    "2": {"Why waves?"},
    "3": {
        "A network is not like that, feature 5 may matter and feature 6 not.",
        "CDVFT puts one before the circulant and one after it:",
        "Nobody has to write the matrix down:",
    },
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


def test_many_language_models_are_768_wide() -> None:
    assert "In many language models d = 768." in LESSON["1"].question.prompt
    assert models_of(768) >= 3
