"""Circulant-diagonal fits against dense products and autograd; what is exact, and what counting allows."""

from collections.abc import Callable, Iterator

import pytest
import torch
from known_products import member
from matrices import built, random
from torch import Tensor

from cdvft.blocks import parameter_count
from cdvft.circulant import circulant
from cdvft_app.approximate import (
    Fit,
    circulant_diagonal,
    fit_circulant_diagonal,
    make_target,
)
from cdvft_app.approximate.circulant_diagonal import gauss_newton, lbfgs, normal_equations, product


def finished(target: Tensor, most_m: int, **kwargs: int) -> list[Fit]:
    return [fit for fit in fit_circulant_diagonal(target, most_m, **kwargs) if fit.finished]


@pytest.fixture
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer steps, for what holds after any number of them."""
    monkeypatch.setattr(circulant_diagonal, "SCREENING_STEPS", 4)
    monkeypatch.setattr(circulant_diagonal, "POLISHING_STEPS", 10)


# The descents


@pytest.mark.parametrize(("m", "n"), [(2, 1), (2, 4), (2, 5), (4, 3), (5, 6)])
def test_product_by_fft_is_the_dense_one(m: int, n: int) -> None:
    vectors = random(2 * m - 1, n)
    torch.testing.assert_close(product(vectors), built(vectors))


@pytest.mark.parametrize(("m", "n"), [(1, 4), (2, 4), (2, 5), (3, 6), (4, 3)])
def test_normal_equations_are_those_of_the_jacobian(m: int, n: int) -> None:
    target, vectors = random(n, n, seed=1), random(2 * m - 1, n)
    jacobian = torch.autograd.functional.jacobian(product, vectors).reshape(n * n, -1)
    gradient, gram = normal_equations(target, vectors)
    torch.testing.assert_close(gram, jacobian.T @ jacobian)
    torch.testing.assert_close(gradient.flatten(), jacobian.T @ (target - product(vectors)).flatten())


@pytest.mark.parametrize("descent", [gauss_newton, lbfgs])
def test_descents_only_go_down_and_find_factors_nearby(descent: Callable[..., Iterator]) -> None:
    planted = random(5, 6)
    target = product(planted)
    path = list(descent(target, planted + 0.01 * random(5, 6, seed=1)))
    errors = [error for _, error in path]
    assert errors == sorted(errors, reverse=True)
    for vectors, error in path[:: max(1, len(path) // 5)]:
        assert error == pytest.approx(float((target - product(vectors)).square().sum()))
    assert errors[-1] < 1e-14 * float(target.square().sum())


# Circulant-diagonal fits

EXACT = {
    "diagonal": (1, torch.diag(random(8))),
    "circulant": (2, circulant(random(8))),
    "diagonal times circulant": (2, random(8, 1) * circulant(random(8, seed=1))),
    "circulant times diagonal": (2, circulant(random(8)) * random(8, seed=1)),
    **{kind: (2, member(kind, 16, 3)[0]) for kind in ("random", "zeros", "rank one")},
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_families_are_found_at_once(name: str) -> None:
    m, target = EXACT[name]
    fit = finished(target, m)[-1]
    assert (fit.size, fit.parameters) == (m, (2 * m - 1) * len(target))
    assert fit.error < 1e-12
    if m > 1:
        torch.testing.assert_close(built(fit.factors), target)


@pytest.mark.usefixtures("short_search")
@pytest.mark.parametrize("name", ["gaussian", "permutation", "smooth_kernel"])
def test_the_error_never_rises_with_m(name: str) -> None:
    target = make_target(name, 7, seed=3)
    fits = finished(target, 4, restarts=1)
    assert [fit.size for fit in fits] == [1, 2, 3, 4]
    errors = [fit.error for fit in fits]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0]
    for fit in fits[1:]:
        assert fit.parameters == parameter_count(7, 7, fit.size)
        torch.testing.assert_close(built(fit.factors), fit.dense)
        assert fit.error == pytest.approx(float((target - fit.dense).norm() / target.norm()))
