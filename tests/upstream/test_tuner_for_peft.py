"""The tuner made for PEFT's tree: whole, right, nothing of ours in it; `make upstream` tests it there."""

from __future__ import annotations

import ast
import importlib
import re

import peft
import pytest
import torch
from peft.utils import PeftType
from torch import nn

from cdvft.circulant import cd_product
from upstream.source import parts, replaced, without
from upstream.tuner import modules


@pytest.fixture(scope="module")
def layer_module(tmp_path_factory):
    """The generated layer as a package of its own name, without the files that need PEFT's registration."""
    folder = tmp_path_factory.mktemp("upstream") / "generated_tuner"
    folder.mkdir()
    for name, text in modules().items():
        if name not in ("__init__.py", "model.py", "config.py"):
            (folder / name).write_text(text)
    (folder / "__init__.py").touch()
    (folder / "config.py").write_text("from types import SimpleNamespace as CDVFTConfig\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder.parent)
        yield importlib.import_module("generated_tuner.layer")


def test_it_names_nothing_that_is_only_here() -> None:
    made = modules()
    assert {"__init__.py", "config.py", "layer.py", "model.py"} <= made.keys()
    for name, text in made.items():
        assert text.startswith("# Copyright 2026"), name
        assert not re.search(r"(from|import) cdvft|cdvft\.kernels|CDVFTPeftType|[Cc]onv2d|weighted", text), (
            name
        )
        imported = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
        assert {f"{node.module}.py" for node in imported if node.level} <= made.keys()


def test_its_layer_applies_the_formula(layer_module) -> None:
    torch.manual_seed(0)
    base = nn.Linear(24, 40)
    settings = {"m": 3, "block_size": 8, "alpha": 0.5, "init_weights": False, "cdvft_dropout": 0.0}
    layer = layer_module.CDVFTLinear(
        base, "default", layer_module.CDVFTConfig(**settings, inference_mode=False)
    )
    vectors = [*layer.cdvft_diagonals["default"]], [*layer.cdvft_circulants["default"]]
    x, update = torch.randn(5, 24), 0.5 * cd_product(*vectors)
    torch.testing.assert_close(layer(x), base(x) + x @ update.T)
    torch.testing.assert_close(
        layer(x, adapter_names=["default", "__base__"] * 2 + ["default"])[1], base(x)[1]
    )


def test_peft_has_no_such_method_yet() -> None:
    """Once it has, this package is to stand aside."""
    assert "CDVFT" not in PeftType.__members__ and not hasattr(peft, "CDVFTConfig")


def test_a_change_without_a_place_is_an_error(tmp_path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        "A = 1\n\n\nclass B:\n    def c(self):\n        return A\n\n    def d(self):\n        return 2\n"
    )
    found = parts(module)
    assert list(found) == ["A", "B"]
    assert "def c" not in without(found["B"], ["c"]) and "def d" in without(found["B"], ["c"])
    with pytest.raises(ValueError, match=r"\['e'\] not among \['c', 'd'\]"):
        without(found["B"], ["e"])
    with pytest.raises(ValueError, match="0 places in place of one have 'gone'"):
        replaced(module.read_text(), {"gone": "new"})
