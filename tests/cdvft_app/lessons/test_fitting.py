"""The lab's fit: what it yields, how it ends, and what it says."""

import base64

import numpy as np
import pytest
import torch

from cdvft.approximate import TARGETS, Fit, make_target
from cdvft_app.lessons import fitting
from cdvft_app.lessons.fitting import fitted, verdict
from cdvft_app.ui import lab_targets


def test_progress_ends_with_all_families_and_their_rests():
    target = make_target("diagonal_circulant", 8)
    *_, last = fitted(target, 2, "It was one.")
    assert not last["running"]
    assert last["status"].startswith("Done in")
    assert {fit["family"] for fit in last["fits"]} == set(fitting.NAMES)
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
        (0.1, 0.5, "circulant-diagonal factors come closest: 10 % error for m = 2"),
        (0.5, 0.0, "low rank wins: no error for low rank, against 50 % error for m = 2"),
        (0.0, 0.0, "two come equally close"),
    ],
)
def test_says_who_wins_also_when_it_is_not_cdvft(ours, theirs, said):
    dense = torch.eye(4)
    fits = [Fit("circulant_diagonal", 2, 12, ours, (), dense), Fit("low_rank", 1, 8, theirs, (), dense)]
    assert said in verdict(fits, "")


def test_the_page_offers_what_the_library_knows():
    assert {key: title for title, key in lab_targets.TARGETS if key not in lab_targets.OWN} == {
        key: target.title for key, target in TARGETS.items()
    }
