"""Structured answers: lines "name: value", written and read.

Lines and not JSON: after a quotation mark a word's tokens differ from those of the same word in the prompt,
so that copying is harder to learn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence


def answer_lines(values: Mapping[str, str], names: Sequence[str]) -> str:
    """Return the fields that there are, in the order of their names."""
    return "\n".join(f"{name}: {values[name]}" for name in names if values.get(name))


def read_fields(text: str, names: Sequence[str]) -> dict[str, str]:
    """Return the values of the fields in a text: of its lines, or of the first JSON object in it.

    Bullets, bold, case and order of the names are forgiven; of a name that comes twice the first counts.
    """
    found = _json_fields(text, names)
    line = re.compile(rf"[\s\-*\d.]*({'|'.join(map(re.escape, names))})\**\s*:\s*\**\s*(.*?)\s*", re.I)
    for one in text.splitlines():
        if (match := line.fullmatch(one)) and match[2]:
            found.setdefault(match[1].lower(), match[2])
    return found


def _json_fields(text: str, names: Sequence[str]) -> dict[str, str]:
    start = text.find("{")
    if start < 0:
        return {}
    try:
        values, _ = json.JSONDecoder().raw_decode(text[start:])
    except ValueError:
        return {}
    lowercased = {str(name).lower(): value for name, value in values.items()}
    return {
        name: str(lowercased[name]).strip()
        for name in names
        if isinstance(lowercased.get(name), str | int) and str(lowercased[name]).strip()
    }


def same(value: str) -> str:
    """Return the value in the form in which equal values are equal: case and commas or stops at its ends
    removed."""
    return value.lower().strip(" ,.")


def wrong_fields(predicted: str, expected: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the fields that differ from the right answer: with another value, missing, or not expected."""
    found, right = (
        {name: same(value) for name, value in read_fields(text, names).items()}
        for text in (predicted, expected)
    )
    return tuple(name for name in names if found.get(name) != right.get(name))


def count_pairs(
    predicted: Sequence[str], expected: Sequence[str], fields: Sequence[str]
) -> list[tuple[int, int]]:
    """For each row how many pairs of field and value both answers share, and how many they have in all."""
    found, right = (
        [{(name, same(value)) for name, value in read_fields(text, fields).items()} for text in texts]
        for texts in (predicted, expected)
    )
    return [(len(one & other), len(one) + len(other)) for one, other in zip(found, right, strict=True)]
