"""Source text cut out of this library's modules and changed, by names and by lines that must be there."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from pathlib import Path


def parts(file: Path) -> dict[str, str]:
    """A module's functions, classes and constants as they are written, by name."""
    text = file.read_text(encoding="utf-8")
    return {name: "".join(_lines(text, node)) for node in ast.parse(text).body for name in _names(node)}


def without(text: str, names: Collection[str]) -> str:
    """A module, or the class it consists of, without some of its functions, methods or constants.

    Raises:
        ValueError: if it has not got one of them.
    """
    body = ast.parse(text).body
    if len(body) == 1 and isinstance(body[0], ast.ClassDef):
        body = body[0].body
    by_name = {name: node for node in body for name in _names(node)}
    if missing := sorted(set(names) - set(by_name)):
        raise ValueError(f"{missing} not among {sorted(by_name)}. Was something renamed?")
    lines: list[str] = text.splitlines(keepends=True)
    for name in names:
        first, last = _range(by_name[name])
        lines[first:last] = [""] * (last - first)
    return "".join(lines)


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """The text with pieces replaced, each of which must stand there exactly once.

    Raises:
        ValueError: if one does not.
    """
    for old, new in changes.items():
        if text.count(old) != 1:
            raise ValueError(f"{text.count(old)} places in place of one have {old!r}. Was it rewritten?")
        text = text.replace(old, new)
    return text


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []


def _range(node: ast.stmt) -> tuple[int, int]:
    decorators = getattr(node, "decorator_list", [])
    assert node.end_lineno is not None
    return min([node.lineno, *(one.lineno for one in decorators)]) - 1, node.end_lineno


def _lines(text: str, node: ast.stmt) -> list[str]:
    first, last = _range(node)
    return text.splitlines(keepends=True)[first:last]
