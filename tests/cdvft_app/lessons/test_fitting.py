"""The lab's fit: what it yields, how it ends, and which method it calls closer."""

import base64

import numpy as np
import pytest
import torch

from cdvft_app.approximate import make_target
from cdvft_app.lessons.fitting import fitted


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


CLOSE, SPREAD = (0.5, 0.51, 0.6), (0.5, 0.7, 0.8)  # errors at which CDVFT's starts ended
OF_CDVFT, OF_LORA = "m = 3 (20 parameters)", "r = 2 (16 parameters)"
