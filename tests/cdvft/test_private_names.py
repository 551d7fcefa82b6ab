"""Private names of other packages: all in one file, and each still there."""

from __future__ import annotations

import ast
import operator
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import cdvft
from cdvft import private_names

LIBRARY = Path(cdvft.__file__).parent
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(LIBRARY.rglob("*.py"))}
KNOWN = {name.rsplit(".", 1)[-1] for name in private_names.NAMES}
DOCUMENTED = {"_asdict", "_make", "_replace", "_fields"}
"""Those of named tuples, underscores and all."""
GENERATED = {"_abc_impl", "_backward_cls"}
"""What Python and torch add to classes."""


@pytest.mark.parametrize("name", private_names.NAMES)
def test_a_name_that_is_gone_is_named(name: str) -> None:
    module, path = name.split(":")
    owner, attribute = path.rsplit(".", 1)
    found = operator.attrgetter(owner)(import_module(module))
    # Attributes of instances are only in the source.
    source = Path(import_module(found.__module__).__file__).read_text()
    there = hasattr(found, attribute) or f"self.{attribute}" in source or f'"{attribute}"' in source
    assert there or attribute in vars(found()), f"{name} is gone, needed: {private_names.NAMES[name]}"


def own_names() -> set[str]:
    """What the library itself defines: functions, classes, variables and attributes of `self`."""
    found: set[str] = set()
    for node in (node for tree in TREES.values() for node in ast.walk(tree)):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.Attribute(attr=name, value=ast.Name(id="self"), ctx=ast.Store()):
                found.add(name)
    return found


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def used(tree: ast.AST) -> Iterator[str]:
    """Private names that a module imports or asks of something."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from (part for part in parts if is_private(part) and part != "__future__")


def test_no_other_file_uses_one_that_is_not_listed() -> None:
    allowed = own_names() | KNOWN | DOCUMENTED
    elsewhere = {
        f"{path.relative_to(LIBRARY)}: {name}"
        for path, tree in TREES.items()
        if path.stem != "private_names"
        for name in used(tree)
        if name not in allowed
    }
    assert elsewhere == set()


def test_what_is_overridden_is_listed() -> None:
    modules = [
        import_module(".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts))
        for path in TREES
        if path.stem not in ("setup", "__init__") and "fused" not in path.parts
    ]
    values = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    own, plain = ("cdvft",), ("cdvft", "builtins", "typing", "enum")
    overridden = {
        name
        for ours in values
        for name in vars(ours)
        if ours.__module__.startswith(own) and is_private(name) and name not in GENERATED
        if any(hasattr(base, name) for base in ours.__mro__ if not base.__module__.startswith(plain))
    }
    assert overridden <= KNOWN
    assert {"_create_and_replace", "_init_weights"} <= overridden
