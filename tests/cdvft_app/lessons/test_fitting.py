"""The lab's fit: what it yields, how it ends, and what it says."""

import base64

import numpy as np
import pytest
import torch

from cdvft.factors import circularity
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


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (0.1, 0.5, "circulant-diagonal factors come closest: 10 % error for m = 3, against"),
        (0.5, 0.0, "low rank wins: no error, against 50 % error for m = 3 circulant-diagonal factors"),
        (
            0.0,
            0.0,
            "low rank and circulant-diagonal factors come equally close, with no error; low rank with",
        ),
        (0.6, 0.7, "All are far off"),
    ],
)
def test_says_who_wins_also_when_it_is_not_cdvft(ours, theirs, said):
    dense = torch.eye(4)
    fits = [Fit("circulant_diagonal", 3, 20, ours, (), dense), Fit("low_rank", 2, 16, theirs, (), dense)]
    assert said in verdict(dense, fits, "")


@pytest.mark.parametrize(
    ("restarts", "theirs", "said"),
    [
        (
            (0.5, 0.51, 0.6),
            0.495,
            "low rank, with 49.5 % error, and circulant-diagonal factors, with 50 %",
        ),
        ((0.5, 0.51, 0.6), 0.4, "low rank wins: 40 % error"),
        (
            (0.5, 0.7, 0.8),
            0.4,
            "of the factors' 3 random starts the best ended at 50 % error and half",
        ),
        ((0.5, 0.7, 0.8), 0.55, "circulant-diagonal factors come closest"),  # what was found needs no band
        ((), 0.495, "low rank wins: 49.5 % error"),
    ],
)
def test_another_family_wins_only_where_the_random_starts_leave_no_doubt(restarts, theirs, said):
    dense = torch.eye(4)
    ours = Fit("circulant_diagonal", 2, 12, 0.5, (), dense, restarts=restarts)
    assert said in verdict(dense, [ours, Fit("low_rank", 1, 8, theirs, (), dense)], "")


def test_the_page_is_told_where_the_random_starts_ended():
    *_, last = fitted(make_target("gaussian", 6), 2, "")
    searched = [fit for fit in last["fits"] if fit["spread"]]
    assert [(fit["family"], fit["size"]) for fit in searched] == [("circulant_diagonal", 2)]
    lowest, middle, highest = searched[0]["spread"]
    assert searched[0]["error"] <= lowest + 1e-9 and lowest < middle < highest <= 1


def test_names_our_family_once_where_it_stands_alone():
    said = verdict(torch.eye(4), [Fit("circulant_diagonal", 1, 4, 0.5, (), torch.eye(4))], "")
    assert "only circulant-diagonal factors are small enough: 50 % error for m = 1. " in said


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
    best, ours = winner(target, 4), Fit("circulant_diagonal", 5, 72, 0.999, (), target)
    said = verdict(target, [ours, best], "")
    assert why in said and f"hold {100 * (1 - best.error**2):.3g} % of its sum of squares" in said


@pytest.mark.parametrize("winner", [fit_low_rank, fit_block_circulant])
def test_of_a_matrix_that_none_comes_near_it_claims_no_structure(winner):
    target = make_target("gaussian", 16)
    best, ours = (
        winner(target, 1 if winner is fit_low_rank else 16),
        Fit("circulant_diagonal", 5, 144, 0.999, (), target),
    )
    said = verdict(target, [ours, best], "")
    assert best.error > 0.5 and "All are far off: with so few numbers none of these forms says much" in said
    assert "so few directions matter" not in said and "repeat there" not in said


def test_says_how_much_a_circulant_alone_holds():
    target = make_target("diagonal_circulant", 12)
    *_, last = fitted(target, 2, "")
    alone = f"{100 * circularity(target, 12):.3g} %"
    said = f"A circulant alone holds {alone}, 2 diagonals around the circulant hold 100 % of its sum of"
    assert said in last["sentence"]


def test_a_share_below_everything_is_not_called_everything():
    fits = [Fit("circulant_diagonal", 3, 20, 0.004, (), torch.eye(4)), Fit("low_rank", 1, 8, 0.5, (), None)]
    assert "around 2 circulants hold more than 99.9 % of its" in verdict(torch.eye(4), fits, "")


def test_the_page_offers_what_the_library_knows():
    assert {key: title for title, key in lab_targets.TARGETS if key not in lab_targets.OWN} == {
        key: target.title for key, target in TARGETS.items()
    }


@pytest.mark.parametrize(
    ("error", "restarts", "said"),
    [
        (0.52, (0.52, 0.6, 0.7), "too close to call: of the blocks' 3 random starts the best ended at 52 %"),
        (
            0.52,
            (0.52, 0.521, 0.6),
            "circulant-diagonal factors come closest: 50 % error for m = 3, against 52",
        ),
        (0.4, (0.4, 0.41, 0.6), "blocks between diagonals win: 40 % error, against 50 % error for m = 3"),
        (0.4, (0.4, 0.41, 0.6), "Circulant blocks of 2 × 2 between two diagonals hold 84 % of its sum"),
    ],
)
def test_blocks_are_searched_for_too_and_lose_only_where_their_starts_leave_no_doubt(error, restarts, said):
    dense = torch.eye(4)
    factors = Fit("circulant_diagonal", 3, 20, 0.5, (), dense)
    assert said in verdict(
        dense, [factors, Fit("diagonal_blocks", 2, 16, error, (), dense, restarts=restarts)], ""
    )


def test_blocks_take_part_as_soon_as_the_budget_holds_them():
    states = list(fitted(make_target("gaussian", 8), 3, ""))
    of_m = {
        fit["size"]: fit["parameters"] for fit in states[-1]["fits"] if fit["family"] == "circulant_diagonal"
    }
    blocks = [fit for fit in states[-1]["fits"] if fit["family"] == "diagonal_blocks"]
    assert of_m == {1: 8, 2: 24, 3: 40}
    assert [(fit["size"], fit["parameters"]) for fit in blocks] == [(4, 32)] and blocks[0]["spread"]
    assert "diagonal_blocks" in states[-1]["pictures"]
