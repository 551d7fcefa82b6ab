"""The lab's fit: what it yields, how it ends, and which method it calls closer."""

import base64

import numpy as np
import pytest
import torch

from cdvft_app.approximate import TARGETS, Fit, make_target
from cdvft_app.lessons import fitting
from cdvft_app.lessons.fitting import fitted, verdict
from cdvft_app.ui.learn import lab_targets


def test_fit_ends_with_both_methods_and_residuals() -> None:
    target = make_target("diagonal_circulant", 8)
    *_, last = fitted(target, 2, "It was one.")
    assert not last["running"] and last["sentence"].endswith("It was one.")
    assert [(fit["family"], fit["size"], fit["parameters"]) for fit in last["fits"]] == [
        ("circulant_diagonal", 1, 8),
        ("circulant_diagonal", 2, 24),
        ("low_rank", 1, 16),
    ]
    assert last["fits"][1]["error"] < 1e-6  # a diagonal times a circulant is exact at m = 2
    s = torch.linalg.svdvals(target)
    assert last["fits"][2]["error"] == pytest.approx(float(s[1:].norm() / s.norm()))
    seen = np.frombuffer(base64.b64decode(last["pictures"]["target"]), np.int8).reshape(8, 8)
    assert torch.from_numpy(seen / 127 * last["limit"]).allclose(target, atol=last["limit"] / 127)
    assert not any(base64.b64decode(last["pictures"]["circulant_diagonal"]))


def test_fit_stops_at_time_limit() -> None:
    states = list(fitted(make_target("gaussian", 12), 5, "", seconds=0.0))
    assert [state["running"] for state in states] == [False]
    assert [fit["size"] for fit in states[0]["fits"]] == [1]


@pytest.mark.parametrize("most_m", [0, 6, None, "2", 1.5])
def test_fit_rejects_invalid_m(most_m: object) -> None:
    with pytest.raises(ValueError, match=repr(most_m)):
        next(fitted(make_target("gaussian", 4), most_m, ""))  # type: ignore[arg-type]


def test_fit_reports_spread_of_random_starts() -> None:
    *_, last = fitted(make_target("gaussian", 8), 3, "")
    searched = [fit for fit in last["fits"] if fit["spread"]]
    assert [(fit["family"], fit["size"]) for fit in searched] == [
        ("circulant_diagonal", 2),
        ("circulant_diagonal", 3),
    ]
    for fit in searched:
        lowest, middle, highest = fit["spread"]
        assert fit["error"] <= lowest + 1e-9 and lowest < middle < highest <= 1


def cdvft(error: float, restarts: tuple[float, ...] = ()) -> Fit:
    return Fit("circulant_diagonal", 3, 20, error, (), torch.eye(4), restarts=restarts)


def lora(error: float) -> Fit:
    return Fit("low_rank", 2, 16, error, (), torch.eye(4))


CLOSE, SPREAD = (0.5, 0.51, 0.6), (0.5, 0.7, 0.8)  # errors at which CDVFT's starts ended
OF_CDVFT, OF_LORA = "m = 3 (20 parameters)", "r = 2 (16 parameters)"


@pytest.mark.parametrize(
    ("fits", "template", "winner"),
    [
        ([cdvft(0.1), lora(0.5)], fitting.CLOSER, "CDVFT"),
        ([cdvft(0.5), lora(0.1)], fitting.CLOSER, "LoRA"),
        ([cdvft(0.5, CLOSE), lora(0.4)], fitting.CLOSER, "LoRA"),
        ([cdvft(0.5, CLOSE), lora(0.495)], fitting.UNDECIDED, "LoRA"),
        ([cdvft(0.5, SPREAD), lora(0.4)], fitting.UNDECIDED, "LoRA"),
        ([cdvft(0.5, SPREAD), lora(0.55)], fitting.CLOSER, "CDVFT"),
        ([cdvft(0.0), lora(0.0)], fitting.EQUAL, "CDVFT"),
    ],
)
def test_verdict_names_closer_method(fits: list[Fit], template: str, winner: str) -> None:
    sizes = (OF_CDVFT, OF_LORA) if winner == "CDVFT" else (OF_LORA, OF_CDVFT)
    errors = sorted(fit.error for fit in fits)
    first, second = (f"{100 * error:.3g}% relative error" if error else "exact" for error in errors)
    expected = {"winner": winner, "first": first, "second": second}
    sized = {"winner_size": sizes[0], "other_size": sizes[1]}
    assert verdict(4, fits) == template.format(**expected, **sized)


def test_verdict_without_low_rank_names_its_least_size() -> None:
    fit = Fit("circulant_diagonal", 1, 4, 0.5, (), torch.eye(4))
    assert verdict(4, [fit]) == fitting.NO_LOW_RANK.format(cdvft="m = 1: 50% relative error", least=8)


def test_lab_offers_every_target() -> None:
    offered = {key: title for title, key in lab_targets.TARGETS if key != "run"}
    assert offered == {key: target.title for key, target in TARGETS.items()}
