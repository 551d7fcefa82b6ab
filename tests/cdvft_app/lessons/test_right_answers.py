"""The right answer of each lesson question, computed."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from matrices import product, random, rank
from torch import Tensor

from cdvft.circulant import circulant
from cdvft_app.approximate import fit_block_circulant, fit_low_rank
from cdvft_app.ui.learn.lesson_texts import LESSONS, Choice, Estimate, Task
from cdvft_app.ui.learn.tab import _fixed

QUESTIONS = {question.key: question for lesson in LESSONS for question in lesson.questions}


def machine_rank(a1_zeros: int = 0, a3_zeros: int = 0, c_zeros: int = 0, silent: tuple[int, ...] = ()) -> int:
    """The rank of diag(a3) circ(c) diag(a1) with d = 8 for random vectors, equal for every seed."""
    ranks = set()
    for seed in range(10):
        a3, c, a1 = random(3, 8, seed=seed)
        waves = torch.fft.rfft(c)
        waves[list(silent)] = 0
        c = torch.fft.irfft(waves, n=8)
        c[:c_zeros], a1[:a1_zeros], a3[8 - a3_zeros :] = 0, 0, 0
        ranks.add(rank(product(a3, c, a1)))
    (found,) = ranks
    return found


def best_error_of_random() -> float:
    targets = {target["key"]: target for target in _fixed("reach")["recorded"]["targets"]}
    return 100 * targets["gaussian"]["fits"][1]["error"]


def block_parameters(p: int) -> int:
    return math.ceil(48 / p) * math.ceil(64 / p) * p


ESTIMATES: dict[str, Callable[[], float]] = {
    "circulant-entry": lambda: int((circulant(random(8)) != circulant(random(8) + torch.eye(8)[3])).sum()),
    "reach-random": best_error_of_random,
    "blocks": lambda: block_parameters(8),
    "shapes-rank": lambda: rank(product(*random(3, 32))),
    "rank-zero": lambda: machine_rank(a1_zeros=1),
    "rank-both": lambda: machine_rank(a1_zeros=1, a3_zeros=1),
    "rank-c": lambda: machine_rank(c_zeros=1),
    "rank-pair": lambda: machine_rank(silent=(1,)),
    "rank-pair-zero": lambda: machine_rank(a1_zeros=1, silent=(1,)),
}


@pytest.mark.parametrize("key", ESTIMATES)
def test_estimate_is_the_computed_value(key: str) -> None:
    question = QUESTIONS[key]
    assert isinstance(question, Estimate)
    assert question.right == round(ESTIMATES[key]())


def gradients(*zero: str) -> dict[str, Tensor]:
    """Gradients of a squared loss with the named vectors at zero."""
    vectors = dict(zip(("a3", "c", "a1"), random(3, 8), strict=True))
    for name in zero:
        vectors[name] = torch.zeros_like(vectors[name])
    for vector in vectors.values():
        vector.requires_grad_()
    (product(*vectors.values()) - random(8, 8, seed=5)).square().sum().backward()
    return {name: vector.grad for name, vector in vectors.items() if vector.grad is not None}


def moving(*zero: str) -> set[str]:
    return {name for name, gradient in gradients(*zero).items() if gradient.norm() > 0}


def diverges(rate: float) -> bool:
    """Whether gradient descent on three vectors of 64 values runs away."""
    target = product(*random(3, 64, seed=1)) / 64
    vectors = (random(3, 64, seed=2) / 4).requires_grad_()
    for _ in range(200):
        loss = (product(*vectors) - target).square().sum()
        if not torch.isfinite(loss) or loss > 1e6:
            return True
        (gradient,) = torch.autograd.grad(loss, vectors)
        vectors = (vectors - rate * gradient).detach().requires_grad_()
    return False


TASKS: dict[str, Callable[[], bool]] = {
    "circulant-shift": lambda: torch.equal(
        circulant(torch.eye(8)[2]) @ torch.arange(8.0), torch.arange(8.0).roll(2)
    ),
    "fft-one": lambda: torch.allclose(torch.fft.fft(torch.eye(8)[0]), torch.ones(8, dtype=torch.complex64)),
    "start-zero": lambda: all(moving(name) == {name} for name in ("a3", "c", "a1")),
    "breaking-rate": lambda: diverges(10.0) and not diverges(1e-3),
}


@pytest.mark.parametrize("key", TASKS)
def test_task_is_solved_by_the_state_it_asks_for(key: str) -> None:
    assert isinstance(QUESTIONS[key], Task)
    assert TASKS[key]()


def scaled_circulant() -> Tensor:
    return product(*random(3, 32))


# The place of the right answer, computed; questions of words alone are absent.
CHOICES: dict[str, Callable[[], int]] = {
    "fft": lambda: [256, 24, 16].index(round(4096 * math.log2(4096) / (256 * math.log2(256)))),
    "start": lambda: 1 if not moving("a3", "c") else 0,
    "shapes-fit": lambda: [
        fit_low_rank(scaled_circulant(), 1).error < 1e-6,
        min(fit_block_circulant(scaled_circulant(), b).error for b in (16, 32)) < 1e-6,
        True,  # CDVFT: the change has this form
    ].index(True),
}


@pytest.mark.parametrize("key", CHOICES)
def test_choice_marks_the_computed_answer(key: str) -> None:
    question = QUESTIONS[key]
    assert isinstance(question, Choice)
    assert question.right == CHOICES[key]()
