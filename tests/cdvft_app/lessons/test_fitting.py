"""The lab's fit: what it yields, how it ends, and what it says."""

import base64

import numpy as np
import pytest
import torch

from cdvft_app.approximate import (
    TARGETS,
    Fit,
    fit_block_circulant,
    fit_fourier,
    fit_fourierft,
    fit_low_rank,
    make_target,
)
from cdvft_app.lessons.families import FAMILIES
from cdvft_app.lessons.fitting import fitted, verdict
from cdvft_app.ui.learn import lab_targets


def test_progress_ends_with_all_families_and_their_rests():
    target = make_target("diagonal_circulant", 8)
    *_, last = fitted(target, 2, "It was one.")
    assert not last["running"]
    assert last["status"].startswith("Done in")
    larger = {"diagonal_blocks"}  # two blocks a side need 4 n numbers
    assert {fit["family"] for fit in last["fits"]} == set(FAMILIES) - larger
    assert [fit["error"] for fit in last["fits"] if fit["family"] == "circulant_diagonal"][-1] < 1e-6
    assert "come closest: no error for m = 2" in last["sentence"]
    columns = torch.arange(8)
    means = torch.stack([target[(columns + k) % 8, columns].mean() for k in range(8)])
    alone = 100 * float(8 * means.square().sum() / target.square().sum())
    said = f"A circulant alone holds {alone:.3g} %, 2 diagonals around the circulant hold 100 % of its sum of"
    assert said in last["sentence"]
    assert last["sentence"].endswith("It was one.")
    seen = np.frombuffer(base64.b64decode(last["pictures"]["target"]), np.int8).reshape(8, 8)
    assert torch.from_numpy(seen / 127 * last["limit"]).allclose(target, atol=last["limit"] / 127)
    assert not any(base64.b64decode(last["pictures"]["circulant_diagonal"]))


def test_stops_at_the_time_limit_with_what_was_found():
    states = list(fitted(make_target("gaussian", 12), 5, "", seconds=0.0))
    assert [state["running"] for state in states] == [False]
    assert "the limit, at m = 1" in states[0]["status"]


@pytest.mark.parametrize("most_m", [0, 6, None, "2", 1.5])
def test_refuses_other_m(most_m):
    with pytest.raises(ValueError, match="whole numbers from 1 to 5"):
        next(fitted(make_target("gaussian", 4), most_m, ""))


DENSE = torch.eye(4)


def ours(error, restarts=(), m=3):
    return Fit("circulant_diagonal", m, 20, error, (), DENSE, restarts=restarts)


def low_rank(error):
    return Fit("low_rank", 2, 16, error, (), DENSE)


def blocks(error, restarts):
    return Fit("diagonal_blocks", 2, 16, error, (), DENSE, restarts=restarts)


ALIKE, SPREAD = (0.5, 0.51, 0.6), (0.5, 0.7, 0.8)  # ends of random starts of ours
BLOCKS_WIN = [ours(0.5), blocks(0.4, (0.4, 0.41, 0.6))]
NAME = "circulant-diagonal factors"


@pytest.mark.parametrize(
    ("fits", "said"),
    [
        ([ours(0.5, m=1)], f"only {NAME} are small enough: 50 % error for m = 1. "),
        ([ours(0.1), low_rank(0.5)], f"{NAME} come closest: 10 % error for m = 3, against"),
        ([ours(0.5), low_rank(0.0)], f"low rank wins: no error, against 50 % error for m = 3 {NAME}"),
        ([ours(0.0), low_rank(0.0)], f"low rank and {NAME} come equally close, with no error; low rank with"),
        ([ours(0.6), low_rank(0.7)], "All are far off"),
        # Less than everything is not called everything:
        ([ours(0.004), low_rank(0.5)], "around 2 circulants hold more than 99.9 % of its"),
        # Another family wins only where the random starts leave no doubt; what was found needs no band:
        ([ours(0.5, ALIKE), low_rank(0.495)], f"low rank, with 49.5 % error, and {NAME}, with 50 %"),
        ([ours(0.5, ALIKE), low_rank(0.4)], "low rank wins: 40 % error"),
        (
            [ours(0.5, SPREAD), low_rank(0.4)],
            "of the factors' 3 random starts the best ended at 50 % error and half",
        ),
        ([ours(0.5, SPREAD), low_rank(0.55)], f"{NAME} come closest"),
        ([ours(0.5), low_rank(0.495)], "low rank wins: 49.5 % error"),
        # Blocks are searched for, too:
        (
            [ours(0.5), blocks(0.52, (0.52, 0.6, 0.7))],
            "too close to call: of the blocks' 3 random starts the best ended at 52 %",
        ),
        (
            [ours(0.5), blocks(0.52, (0.52, 0.521, 0.6))],
            f"{NAME} come closest: 50 % error for m = 3, against 52",
        ),
        (BLOCKS_WIN, "blocks between diagonals win: 40 % error, against 50 % error for m = 3"),
        (BLOCKS_WIN, "Circulant blocks of 2 × 2 between two diagonals hold 84 % of its sum"),
    ],
)
def test_says_who_wins_also_when_it_is_not_cdvft(fits, said):
    assert said in verdict(DENSE, fits, "")


@pytest.mark.parametrize(
    ("name", "winner", "why"),
    [
        ("low_rank", fit_low_rank, "Its 4 largest singular values hold 100 % of its sum of squares, so few"),
        ("circulant", fit_block_circulant, "The means along those of its 4 × 4 blocks hold "),
        ("gaussian", fit_fourier, "4 of its 64 Fourier entries hold "),
        ("gaussian", fit_fourierft, "Waves drawn blindly hold "),
    ],
)
def test_says_why_from_what_the_target_holds(name, winner, why):
    target = make_target(name, 8)
    best, factors = winner(target, 4), Fit("circulant_diagonal", 5, 72, 0.999, (), target)
    said = verdict(target, [factors, best], "")
    assert why in said and f"hold {100 * (1 - best.error**2):.3g} % of its sum of squares" in said


@pytest.mark.parametrize(("winner", "size"), [(fit_low_rank, 1), (fit_block_circulant, 16)])
def test_of_a_matrix_that_none_comes_near_it_claims_no_structure(winner, size):
    target = make_target("gaussian", 16)
    best, factors = winner(target, size), Fit("circulant_diagonal", 5, 144, 0.999, (), target)
    said = verdict(target, [factors, best], "")
    assert best.error > 0.5 and "All are far off: with so few numbers none of these forms says much" in said
    assert "so few directions matter" not in said and "repeat there" not in said


def test_the_page_offers_what_the_library_knows():
    assert {key: title for title, key in lab_targets.TARGETS if key not in lab_targets.OWN} == {
        key: target.title for key, target in TARGETS.items()
    }


def test_blocks_take_part_as_soon_as_the_budget_holds_them_and_it_is_told_where_random_starts_ended():
    *_, last = fitted(make_target("gaussian", 8), 3, "")
    of = {family: [fit for fit in last["fits"] if fit["family"] == family] for family in FAMILIES}
    factors, blocks = of["circulant_diagonal"], of["diagonal_blocks"]
    assert [(fit["size"], fit["parameters"]) for fit in factors] == [(1, 8), (2, 24), (3, 40)]
    assert [(fit["size"], fit["parameters"]) for fit in blocks] == [(4, 32)]
    assert "diagonal_blocks" in last["pictures"]
    searched = [*factors[1:], *blocks]
    assert [fit for fit in last["fits"] if fit["spread"]] == searched
    for fit in searched:
        lowest, middle, highest = fit["spread"]
        assert fit["error"] <= lowest + 1e-9 and lowest < middle < highest <= 1
