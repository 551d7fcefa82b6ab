"""Distances and rounded corners are those of one scale, and what is of none is noticed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cdvft_app import ASSETS

SCALE = ASSETS / "css" / "page" / "scale.css"
DECLARED = re.compile(
    r"(?<![\w-])((?:margin|padding)(?:-[a-z]+)*|(?:row-|column-)?gap|border(?:-[a-z]+)*-radius)\s*:\s*([^;}]+)"
)
LENGTH = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:px|rem)\b")
DERIVED = re.compile(r"calc\((?:[^()]|\([^()]*\))*\)")  # from the size of something else


def complaints(sheet: str) -> Iterator[str]:
    """Declarations of a distance or a radius that name a length of their own."""
    for name, value in DECLARED.findall(sheet):
        if found := LENGTH.search(DERIVED.sub("", value)):
            yield f"{name}: {found[0]}"


def test_every_distance_and_radius_is_of_the_scale() -> None:
    sheets = {sheet.name: sheet.read_text(encoding="utf-8") for sheet in (ASSETS / "css").rglob("*.css")}
    assert [f"{name}: {each}" for name, sheet in sheets.items() for each in complaints(sheet)] == []


def test_the_scale_is_short_and_all_of_it_is_used() -> None:
    steps = re.findall(r"(--space-\d|--radius[a-z-]*): (\d+)px;", SCALE.read_text(encoding="utf-8"))
    spaces = [int(size) for name, size in steps if name.startswith("--space")]
    assert spaces == sorted(set(spaces))
    assert len(spaces) <= 8
    assert len(steps) - len(spaces) <= 3
    sheets = "".join(sheet.read_text(encoding="utf-8") for sheet in (ASSETS / "css").rglob("*.css"))
    named = set(re.findall(r"var\((--space-\d|--radius[a-z-]*)\)", sheets))
    assert named == {name for name, _ in steps}


def test_a_length_of_its_own_is_noticed() -> None:
    sound = "a { margin: 0 auto var(--space-2); padding-top: calc((3px - 6px) / 2); width: 7px; gap: 1.2em; }"
    own = ("margin: 0 7px", "padding-left: 1rem", "column-gap: .5rem", "border-top-left-radius: 3px")
    assert len([*complaints(sound + "".join(f"b {{ {one}; }}" for one in own))]) == len(own)
