"""How CDVFT covers one weight: circulant blocks between two diagonals, as a small drawing."""

from __future__ import annotations

from cdvft.blocks import Partition

SIDE = 96  # of the longer edge, in SVG units
STRIP = 7
GAP = 5
MAX_BLOCKS = 16  # along an edge; more are drawn as this many, and said in words


def svg(partition: Partition) -> str:
    """Return the q1 x q2 blocks of `partition` with the output diagonal at the left and the input diagonal on
    top.

    Every block is hatched along its diagonals, on which a circulant repeats its entries. Rows and columns
    beyond the matrix (padding) are drawn dashed.
    """
    q1, q2 = min(partition.q1, MAX_BLOCKS), min(partition.q2, MAX_BLOCKS)
    unit = SIDE / max(q1, q2)
    width, height = q2 * unit, q1 * unit
    left, top = STRIP + GAP, STRIP + GAP
    inside_width = width * partition.d_in / (partition.q2 * partition.p)
    inside_height = height * partition.d_out / (partition.q1 * partition.p)
    blocks = "".join(
        _block(left + column * unit, top + row * unit, unit) for row in range(q1) for column in range(q2)
    )
    padding = (
        f'<rect x="{left}" y="{top}" width="{width:.1f}" height="{height:.1f}" class="padding"/>'
        if partition.padded
        else ""
    )
    return (
        f'<svg viewBox="0 0 {left + width + 1:.1f} {top + height + 1:.1f}" width="{left + width + 1:.0f}" '
        f'height="{top + height + 1:.0f}" class="block-layout" role="img" aria-label="{_words(partition)}">'
        f'<rect x="{left}" y="0" width="{inside_width:.1f}" height="{STRIP}" class="input"/>'
        f'<rect x="0" y="{top}" width="{STRIP}" height="{inside_height:.1f}" class="output"/>'
        f"{blocks}{padding}</svg>"
    )


def _block(x: float, y: float, side: float) -> str:
    lines = 6 if side > 40 else 4 if side > 16 else 2
    step = side / lines
    strokes = "".join(
        f"M{x:.1f} {y + index * step:.1f}L{x + side - index * step:.1f} {y + side:.1f}"
        + (f"M{x + index * step:.1f} {y:.1f}L{x + side:.1f} {y + side - index * step:.1f}" if index else "")
        for index in range(lines)
    )
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}" class="block"/>'
        f'<path d="{strokes}" class="hatch"/>'
    )


def _words(partition: Partition) -> str:
    count = partition.q1 * partition.q2
    blocks = "one circulant block" if count == 1 else f"{partition.q1} by {partition.q2} circulant blocks"
    return (
        f"{partition.d_out} by {partition.d_in} weight as {blocks} of {partition.p}"
        + (", padded at the edge" if partition.padded else "")
        + ", with a diagonal before and one after"
    )
