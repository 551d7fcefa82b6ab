"""The closed-form families against explicit bases, least squares and PEFT's own layer."""

import math

import pytest
import torch
from matrices import random
from peft import FourierFTConfig, get_peft_model
from torch import Tensor, nn

from cdvft.circulant import block_circulant, circulant
from cdvft_app.approximate import fit_block_circulant, fit_fourier, fit_fourierft, fit_low_rank, fit_rivals


@pytest.mark.parametrize("shape", [(6, 6), (4, 7)])
def test_low_rank_leaves_the_smaller_singular_values(shape: tuple[int, int]) -> None:
    target = random(*shape)
    s = torch.linalg.svdvals(target)
    for rank in range(1, 5):
        fit = fit_low_rank(target, rank)
        assert fit.error == pytest.approx(float(s[rank:].norm() / s.norm()), abs=1e-12)
        b, a = fit.factors
        torch.testing.assert_close(b @ a, fit.dense)
        assert fit.parameters == b.numel() + a.numel()


def fourier_atom(shape: tuple[int, int], k: int, l: int) -> Tensor:  # noqa: E741 (the field's letter)
    """Unit cosine of frequency (k, l) where it precedes (-k, -l) in reading order, else a unit sine."""
    d_out, d_in = shape
    i, j = torch.arange(d_out)[:, None], torch.arange(d_in)
    angle = 2 * math.pi * (k * i.double() / d_out + l * j.double() / d_in)
    atom = angle.cos() if (k, l) <= (-k % d_out, -l % d_in) else angle.sin()
    return atom / atom.norm()


@pytest.mark.parametrize("shape", [(4, 4), (5, 5), (3, 4)])
def test_fourier_entries_are_the_largest_of_an_orthonormal_basis(shape: tuple[int, int]) -> None:
    target = random(*shape)
    atoms = {(k, l): fourier_atom(shape, k, l) for k in range(shape[0]) for l in range(shape[1])}  # noqa: E741
    stacked = torch.stack(list(atoms.values())).flatten(1)
    torch.testing.assert_close(stacked @ stacked.T, torch.eye(len(stacked), dtype=torch.float64))
    sizes = (stacked @ target.flatten()).abs().sort(descending=True).values
    for entries in range(1, target.numel() + 1):
        fit = fit_fourier(target, entries)
        assert fit.parameters == 3 * entries
        assert fit.error == pytest.approx(float(sizes[entries:].norm() / target.norm()), abs=1e-7)
        positions, coefficients = fit.factors
        rebuilt = sum(
            value * atoms[tuple(at)] for at, value in zip(positions.tolist(), coefficients, strict=True)
        )
        torch.testing.assert_close(rebuilt, fit.dense)


@pytest.mark.parametrize(("n", "entries"), [(4, 1), (4, 9), (5, 12), (6, 36)])
def test_fourierft_is_the_best_that_pefts_layer_can_do(n: int, entries: int) -> None:
    target = random(n, n)
    fit = fit_fourierft(target, entries, seed=5)
    positions, values = fit.factors
    config = FourierFTConfig(n_frequency=entries, scaling=1.0, target_modules=["0"])
    layer = get_peft_model(nn.Sequential(nn.Linear(n, n)), config).base_model.model[0].double()
    layer.indices["default"] = positions.T

    def delta(spectrum: Tensor) -> Tensor:
        layer.fourierft_spectrum["default"].data = spectrum
        return layer.get_delta_weight("default").detach().double()

    torch.testing.assert_close(delta(values), fit.dense, atol=1e-6, rtol=1e-5)
    basis = torch.stack([delta(unit).flatten() for unit in torch.eye(entries, dtype=torch.float64)], dim=1)
    best = basis @ torch.linalg.lstsq(basis, target.reshape(-1, 1), driver="gelsd").solution
    assert fit.error == pytest.approx(float((target - best.reshape(n, n)).norm() / target.norm()), abs=1e-6)


def test_fourierft_reaches_only_the_even_part_at_any_size() -> None:
    target = random(6, 6)
    even = (target + target.flip(0, 1).roll((1, 1), (0, 1))) / 2
    torch.testing.assert_close(fit_fourierft(target, 36).dense, even)


@pytest.mark.parametrize(
    ("shape", "p"), [((6, 6), 6), ((6, 6), 3), ((6, 4), 2), ((5, 7), 3), ((7, 5), 7), ((3, 3), 1)]
)
def test_block_circulant_is_least_squares(shape: tuple[int, int], p: int) -> None:
    target = random(*shape)
    fit = fit_block_circulant(target, p)
    (c,) = fit.factors
    torch.testing.assert_close(block_circulant(c, *shape), fit.dense)
    assert fit.parameters == c.numel()
    units = torch.eye(c.numel(), dtype=torch.float64).reshape(-1, *c.shape)
    basis = torch.stack([block_circulant(unit, *shape).flatten() for unit in units], dim=1)
    torch.testing.assert_close(
        basis.T @ (target - fit.dense).flatten(), torch.zeros(c.numel(), dtype=torch.float64)
    )


@pytest.mark.parametrize(
    ("budget", "sizes"),
    [
        (1, {"fourierft": 1}),
        (8, {"fourier": 2, "fourierft": 8, "block_circulant": 8}),
        (24, {"low_rank": 1, "fourier": 8, "fourierft": 24}),
        (10**6, {"low_rank": 8, "fourier": 64, "fourierft": 64, "block_circulant": 1}),
    ],
)
def test_rivals_spend_what_the_budget_allows(budget: int, sizes: dict[str, int]) -> None:
    fits = fit_rivals(random(8, 8), budget)
    found = {fit.family: fit.size for fit in fits}
    assert sizes.items() <= found.items() and found.keys() - sizes <= {"block_circulant"}
    assert all(fit.parameters <= budget for fit in fits)


def test_blocks_are_of_the_side_that_fits_best_within_the_budget() -> None:
    """More numbers do not make blocks better: a circulant is exact as one block, and cut by smaller ones."""
    target = random(8, 8)
    for budget in (8, 24, 40):
        every = [fit_block_circulant(target, p) for p in range(1, 9)]
        best = min(fit.error for fit in every if fit.parameters <= budget)
        [blocks] = [fit for fit in fit_rivals(target, budget) if fit.family == "block_circulant"]
        assert blocks.error == best and blocks.parameters <= budget
    [blocks] = [f for f in fit_rivals(circulant(random(8)), 24) if f.family == "block_circulant"]
    assert blocks.size == 8 and blocks.error < 1e-12
