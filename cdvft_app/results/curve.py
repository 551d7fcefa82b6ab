"""A run's loss as a picture for its model card, drawn by Pillow, which torchvision brings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 800, 400  # pixels; drawn at twice the size and shrunk, for smooth lines
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 44, 48
SMOOTHED_OVER = 0.05  # of all steps
INK, GREY, PALE = "#222222", "#6b6b6b", "#e4e4e4"


def write_curve(rows: Sequence[Mapping[str, Any]], colour: str, title: str, file: Path) -> bool:
    """Draw the training loss, each step's and its moving mean, and the losses of the evaluations.

    Args:
        rows: of a run's history; those of steps and of evaluations are drawn.
        colour: "#rrggbb", the method's.
        title: written above.
        file: a PNG.

    Returns:
        Whether there was anything to draw.
    """
    from PIL import Image, ImageDraw, ImageFont

    steps = _points(rows, "step")
    evaluations = _points(rows, "evaluation")
    if len(steps) < 2:
        return False
    losses = [loss for _, loss in (*steps, *evaluations)]
    first, last = steps[0][0], steps[-1][0]
    low, high, every = _axis(min(losses), max(losses))

    def place(step: float, loss: float) -> tuple[float, float]:
        across = LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT)
        down = TOP + (high - loss) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return 2 * across, 2 * down

    picture = Image.new("RGB", (2 * WIDTH, 2 * HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    small, large = ImageFont.load_default(24), ImageFont.load_default(28)
    draw.text((2 * LEFT, 28), title, INK, large, anchor="lt")
    for tick in range(round((high - low) / every) + 1):
        loss = low + tick * every
        draw.line([place(first, loss), place(last, loss)], PALE, 2)
        draw.text((2 * LEFT - 16, place(first, loss)[1]), f"{loss:g}", GREY, small, anchor="rm")
    for step in sorted({first, (first + last) // 2, last}):
        draw.text((place(step, low)[0], place(step, low)[1] + 14), f"{step:,}", GREY, small, anchor="mt")
    draw.text((WIDTH, 2 * HEIGHT - 16), "step", GREY, small, anchor="mb")
    pale = "#" + "".join(f"{(int(colour[at : at + 2], 16) + 3 * 255) // 4:02x}" for at in (1, 3, 5))
    draw.line([place(*point) for point in steps], pale, 3)
    draw.line([place(*point) for point in _smoothed(steps)], colour, 6, joint="curve")
    for x, y in (place(*point) for point in evaluations):
        draw.ellipse([x - 9, y - 9, x + 9, y + 9], "white", INK, 4)
    picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(file, optimize=True)
    return True


def _points(rows: Sequence[Mapping[str, Any]], kind: str) -> list[tuple[int, float]]:
    return [(row["step"], row["loss"]) for row in rows if row["kind"] == kind and row["loss"] is not None]


def _smoothed(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """The mean of the last twentieth, which never looks ahead."""
    window = max(1, round(SMOOTHED_OVER * len(points)))
    means = []
    for place, (step, _) in enumerate(points):
        recent = [loss for _, loss in points[max(0, place - window + 1) : place + 1]]
        means.append((step, sum(recent) / len(recent)))
    return means


def _axis(lowest: float, highest: float) -> tuple[float, float, float]:
    """Round ends around all values, and the distance of about four ticks between."""
    span = highest - lowest or abs(highest) or 1.0
    power = 10 ** math.floor(math.log10(span / 4))
    every = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= span / 4)
    low = math.floor(lowest / every) * every
    return low, max(math.ceil(highest / every) * every, low + every), every
