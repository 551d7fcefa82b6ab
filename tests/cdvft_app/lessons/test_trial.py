"""The small training learns at a fit rate, and is ended by the watch at one that is too high."""

import math

import pytest

from cdvft_app.lessons.trial import STEPS, trained


def test_learns_at_a_fit_rate():
    run = trained(0.03)
    assert (len(run["losses"]), run["failed"]) == (STEPS, None)
    assert run["losses"][-1] < 1e-3 * run["losses"][0]


def test_is_stopped_at_a_rate_too_high():
    run = trained(0.3)
    assert len(run["losses"]) < STEPS
    assert "The learning rate 0.3 is most likely too high; try 0.1" in run["failed"]
    assert all(value is None or math.isfinite(value) for value in run["losses"])


def test_thirty_pupils_with_one_rate_cost_one_training(monkeypatch):
    trained(0.07)
    monkeypatch.setattr("torch.optim.SGD", lambda *_, **__: pytest.fail("trained again"))
    assert [len(trained(0.07)["losses"]) for _ in range(30)] == [STEPS] * 30


@pytest.mark.parametrize("rate", [None, "0.1", True, 0, -1, 1e9, float("nan"), [0.1]])
def test_refuses_what_is_no_rate(rate):
    with pytest.raises(ValueError, match="numbers from"):
        trained(rate)
