"""The layers' ratios as an SVG chart: time over the frozen layer's, by method, a panel a width."""

from __future__ import annotations

import math
from typing import Any

COLOURS = {"fourierft": "#009E73", "c3a": "#CC79A7", "lora": "#E69F00", "cdvft": "#0072B2"}
NAMES = {"fourierft": "FourierFT", "c3a": "C3A", "lora": "LoRA", "cdvft": "CDVFT"}
WIDTH, HEIGHT, LEFT, TOP, GAP = 210, 220, 54, 54, 18
LOWEST, HIGHEST = 1.0, 6.0


def chart(entries: list[dict[str, Any]], threads: int = 1) -> str:
    """Time over the frozen layer's against tokens, both log, for square layers of default block size."""
    plain = [
        e
        for e in entries
        if e["threads"] == threads and e["d_in"] == e["d_out"] and not e["block_size"] and e["m"] == 2
    ]
    widths = [d for d in sorted({e["d_in"] for e in plain}) if sum(e["d_in"] == d for e in plain) > 2]
    total = LEFT + len(widths) * (WIDTH + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {TOP + HEIGHT + 70}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>Time over the frozen layer's, {threads} thread</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for n, width in enumerate(widths):
        parts += _panel(
            LEFT + n * (WIDTH + GAP), width, [e for e in plain if e["d_in"] == width], first=n == 0
        )
    for n, (method, colour) in enumerate(COLOURS.items()):
        x = LEFT + n * 110
        parts.append(f'<circle cx="{x + 6}" cy="18" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{x + 16}" y="22" fill="#222">{NAMES[method]}</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP + HEIGHT + 52}" fill="#222">tokens in the batch</text></svg>')
    return "\n".join(parts) + "\n"


def _panel(left: float, width: int, entries: list[dict[str, Any]], first: bool) -> list[str]:
    tokens = [e["tokens"] for e in entries]
    low, high = math.log(min(tokens)), math.log(max(tokens))

    def x(count: int) -> float:
        return left + 12 + (math.log(count) - low) / (high - low) * (WIDTH - 24)

    def y(ratio: float) -> float:
        share = math.log(min(max(ratio, LOWEST), HIGHEST) / LOWEST) / math.log(HIGHEST / LOWEST)
        return TOP + HEIGHT * (1 - share)

    parts = [f'<text x="{left}" y="{TOP - 10}" fill="#222">width {width}</text>']
    for tick in (1, 1.2, 1.5, 2, 3, 4, 6):
        parts.append(f'<path d="M{left} {y(tick):.1f}H{left + WIDTH}" stroke="#ddd"/>')
        if first:
            parts.append(
                f'<text x="{left - 8}" y="{y(tick) + 4:.1f}" text-anchor="end" fill="#555">{tick} x</text>'
            )
    for count in tokens:
        parts.append(
            f'<text x="{x(count):.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle" font-size="10" '
            f'fill="#555">{count}</text>'
        )
    for method, colour in COLOURS.items():
        points = [(x(e["tokens"]), y(e["ratios"][f"{method} / base"]["median"])) for e in entries]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
    return parts
