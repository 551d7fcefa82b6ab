"""No module runs code of a model repository or unpickles arrays. ruff bans imports (pyproject.toml)."""

from __future__ import annotations

import ast

import pytest
from sources import sources

ALWAYS_FALSE = ("trust_remote_code", "allow_pickle")


def unsafe_arguments(source: str) -> list[str]:
    keywords = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.keyword))
    unsafe = (node for node in keywords if node.arg in ALWAYS_FALSE and ast.unparse(node.value) != "False")
    return [ast.unparse(node) for node in unsafe]


def test_sources_pass_no_unsafe_arguments() -> None:
    assert {name: found for name, text in sources().items() if (found := unsafe_arguments(text))} == {}


@pytest.mark.parametrize(
    ("source", "unsafe"),
    [
        ("f(trust_remote_code=True)", ["trust_remote_code=True"]),
        ("f(trust_remote_code=x)", ["trust_remote_code=x"]),
        ("np.load(f, allow_pickle=True)", ["allow_pickle=True"]),
        ("np.load(f, allow_pickle=False)", []),
    ],
)
def test_unsafe_arguments_are_found(source: str, unsafe: list[str]) -> None:
    assert unsafe_arguments(source) == unsafe
