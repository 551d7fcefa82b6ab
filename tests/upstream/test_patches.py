"""The patches for PEFT fit the installed release and make the same method; PEFT's tests: `make upstream`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import peft
import pytest
import torch
from peft.utils import PeftType
from torch import nn

import cdvft
from cdvft.circulant import cd_product
from upstream.check import PATCHES, apply

NET = """
import sys
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide, self.narrow = nn.Linear(24, 40), nn.Linear(40, 24)

    def forward(self, x):
        return self.narrow(self.wide(x).relu())
"""
LOADED = f"""{NET}
import json, peft
assert "cdvft" not in sys.modules and peft.__file__.startswith(sys.argv[1]), peft.__file__
torch.manual_seed(0)
model = peft.PeftModel.from_pretrained(Net(), sys.argv[2]).eval()
x = torch.load(sys.argv[3], weights_only=True)
with torch.no_grad():
    alone = model(x)
    mixed = model(x, adapter_names=["default", "__base__", "default"])
    with model.disable_adapter():
        base = model(x)
    merged = model.merge_and_unload()(x)
print(json.dumps([part.tolist() for part in (alone, mixed, base, merged)]))
"""


@pytest.fixture(scope="module")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose src/peft is the installed PEFT with the patches applied."""
    tree = tmp_path_factory.mktemp("patched")
    source = Path(peft.__file__).parent
    shutil.copytree(source, tree / "src" / "peft", ignore=shutil.ignore_patterns("__pycache__"))
    apply(tree, "--include=src/*")
    return tree


@pytest.mark.nightly
def test_an_adapter_of_the_library_gives_the_same_outputs_in_the_patched_peft(patched, tmp_path) -> None:
    names: dict = {}
    exec(NET, names)
    torch.manual_seed(0)
    base = names["Net"]()
    config = cdvft.CDVFTConfig(
        target_modules=["wide", "narrow"],
        init_weights=False,
        m_pattern={"narrow": 3},
        block_size=8,
        alpha=0.5,
    )
    model = peft.get_peft_model(base, config).eval()
    x = torch.randn(3, 24)
    model.save_pretrained(tmp_path / "adapter")
    torch.save(x, tmp_path / "x.pt")
    arguments = [str(patched), str(tmp_path / "adapter"), str(tmp_path / "x.pt")]
    ended = subprocess.run(
        [sys.executable, "-P", "-c", LOADED, *arguments],
        env={**os.environ, "PYTHONPATH": str(patched / "src"), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    alone, mixed, frozen, merged = (torch.tensor(part) for part in json.loads(ended.stdout.splitlines()[-1]))

    def expected(layer: nn.Module) -> torch.Tensor:
        vectors = [*layer.cdvft_diagonals["default"]], [*layer.cdvft_circulants["default"]]
        return layer.base_layer.weight + 0.5 * cd_product(*vectors)

    wide, narrow = model.base_model.model.wide, model.base_model.model.narrow
    with torch.no_grad():
        hidden = (x @ expected(wide).T + wide.base_layer.bias).relu()
        truth = hidden @ expected(narrow).T + narrow.base_layer.bias
        with model.disable_adapter():
            bare = model(x)
    close = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(alone, truth, **close)
    torch.testing.assert_close(merged, truth, **close)
    torch.testing.assert_close(frozen, bare, **close)
    torch.testing.assert_close(mixed, torch.stack([truth[0], bare[1], truth[2]]), **close)


def test_peft_has_no_such_method_yet() -> None:
    """Once it has, this package is to stand aside."""
    assert "CDVFT" not in PeftType.__members__ and not hasattr(peft, "CDVFTConfig")


def test_a_patch_that_does_not_fit_is_an_error(patched) -> None:
    assert len(PATCHES) == 4
    with pytest.raises(subprocess.CalledProcessError):
        apply(patched, "--include=src/*")  # applied already
