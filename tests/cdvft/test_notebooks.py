"""Both notebooks run from the first cell to the last, and what their sentences say holds."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def executed(name: str) -> tuple[dict[str, Any], list[Any]]:
    """The names that a notebook leaves, and what its cells end with."""
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())["cells"]
    names: dict[str, Any] = {}
    shown = []
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], "outputs are not kept: they would grow old"
            *statements, last = ast.parse("".join(cell["source"])).body
            ends = isinstance(last, ast.Expr)
            exec(compile(ast.Module([*statements, *([] if ends else [last])], []), name, "exec"), names)
            if isinstance(last, ast.Expr):
                shown.append(eval(compile(ast.Expression(last.value), name, "eval"), names))
    return names, shown


def test_the_library_in_ten_minutes() -> None:
    names, _ = executed("library_in_ten_minutes")
    trained = sum(p.numel() for n, p in names["model"].named_parameters() if "cdvft_" in n and ".even" in n)
    assert names["parameters"] == trained == 4 * 3 * 64
    assert names["after"] > 0.9 > names["before"]
    assert abs(names["accuracy"](names["merged"]) - names["after"]) < 0.01
    assert names["logits"].shape == (3, 2)
    assert names["logits"].unique(dim=0).shape[0] == 3
    assert 1 < names["rank"] <= 64


def test_rank_from_three_vectors() -> None:
    names, shown = executed("rank_from_three_vectors")
    assert shown[0].tolist() == [[1, 4, 3, 2], [2, 1, 4, 3], [3, 2, 1, 4], [4, 3, 2, 1]]
    assert shown[1] == (24, 3 * 7 + 1, 64)
    assert names["rank"] == 64
    ours, low_rank = zip(
        *(names["reached"][kind] for kind in ("diagonal times circulant", "rank 2")), strict=True
    )
    assert ours[0] < 0.01 and ours[1] > 0.3
    assert low_rank[1] < 0.01 and low_rank[0] > 0.3
    assert min(names["reached"]["random"]) > 0.5
