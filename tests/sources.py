"""What the tests of the sources read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FAILURES = ROOT / "build" / "failures"
"""Screenshots and console logs of failed browser tests."""


def sources() -> dict[str, str]:
    """Every module of the project by its name."""
    paths = [ROOT / "app.py", *(ROOT / "cdvft").rglob("*.py"), *(ROOT / "cdvft_app").rglob("*.py")]
    paths.remove(ROOT / "cdvft" / "setup.py")  # it builds the package and is not in it
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path.read_text()
        for path in paths
        if path.exists()
    }


def imports(name: str, tree: ast.AST, known: set[str]) -> Iterator[str]:
    """What a module imports, inside functions too; `from package import module` counts as the module."""
    is_package = any(other.startswith(f"{name}.") for other in known)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = name if is_package else name.rpartition(".")[0]
            for _ in range(node.level - 1):
                package = package.rpartition(".")[0]
            base = ".".join(filter(None, [package, node.module])) if node.level else node.module or ""
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in known else base
