from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from cdvft_app.results.card import HEIGHT, WIDTH, write_curve

BLUE = "#0072b2"


def rows(losses: list[float | None], evaluations: dict[int, float]) -> list[dict]:
    steps = [{"kind": "step", "step": place + 1, "loss": loss} for place, loss in enumerate(losses)]
    return [
        *steps,
        *({"kind": "evaluation", "step": step, "loss": loss} for step, loss in evaluations.items()),
    ]


def blue(file) -> np.ndarray:
    """Rows and columns of the pixels in the line's colour."""
    pixels = np.asarray(Image.open(file).convert("RGB")).astype(int)
    return np.argwhere((abs(pixels - [0x00, 0x72, 0xB2]) < 30).all(-1))


def test_a_falling_loss_falls_from_edge_to_edge(tmp_path):
    file = tmp_path / "loss.png"
    losses = [2 * math.exp(-step / 20) for step in range(100)]
    assert write_curve(rows(losses, {50: 0.2, 100: 0.1}), BLUE, "Loss", file)
    assert Image.open(file).size == (WIDTH, HEIGHT)
    assert file.stat().st_size < 60_000
    line = blue(file)
    left, right = line[line[:, 1].argmin()], line[line[:, 1].argmax()]
    assert left[1] < 0.12 * WIDTH and right[1] > 0.95 * WIDTH
    assert left[0] < 0.3 * HEIGHT and right[0] > 0.7 * HEIGHT


@pytest.mark.parametrize("loss", [0.0, 1.0, 1e-9, 1e6])
def test_a_loss_that_never_changes_can_be_drawn(tmp_path, loss):
    assert write_curve(rows([loss] * 5, {}), BLUE, "Loss", tmp_path / "loss.png")
    assert len(blue(tmp_path / "loss.png"))


@pytest.mark.parametrize("losses", [[], [1.0], [None, 1.0]])
def test_nothing_is_drawn_of_no_line(tmp_path, losses):
    assert not write_curve(rows(losses, {}), BLUE, "Loss", tmp_path / "loss.png")
    assert not list(tmp_path.iterdir())
