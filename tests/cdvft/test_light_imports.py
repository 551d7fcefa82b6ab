"""`import cdvft` loads nothing heavy and registers CDVFT with PEFT, in either order of imports."""

import os
import subprocess
import sys
from pathlib import Path

import peft.mapping
import pytest

import cdvft
from cdvft.config import CDVFTPeftType
from cdvft.registration import register

ROOT = Path(__file__).parents[2]


def printed(program: str, *folders: Path) -> str:
    """The output of a program in its own process, as imported modules stay imported."""
    path = os.pathsep.join(map(str, (*folders, ROOT)))
    command = [sys.executable, "-c", program]
    ended = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_import_loads_nothing_heavy() -> None:
    program = """
import cdvft, sys
cdvft.blocks.partition(8, 8)
cdvft.cost.estimate("cdvft", [cdvft.cost.Shape("q", 8, 8)], batch=1, sequence=1)
dir(cdvft)
import cdvft.cost, cdvft.blocks, cdvft.registration
print(*sorted({"torch", "peft", "transformers", "numpy"} & set(sys.modules)))
"""
    assert printed(program) == ""


@pytest.mark.parametrize(
    "imports",
    [
        "from cdvft.config import CDVFTConfig; import peft",
        *(
            pytest.param(imports, marks=pytest.mark.nightly)
            for imports in (
                "from cdvft.layer import CDVFTLinear",
                "from cdvft.model import CDVFTModel; from cdvft import CDVFTConfig",
                "import cdvft.factors",
                "import transformers, cdvft; from peft.tuners.lora import LoraConfig",
            )
        ),
    ],
)
def test_peft_knows_cdvft_in_any_order(imports: str) -> None:
    made = printed(
        f"{imports}\nimport peft; print(type(peft.get_peft_config({{'peft_type': 'CDVFT', 'm': 3}})))"
    )
    assert made == "<class 'cdvft.config.CDVFTConfig'>"


COVERED = {f"PEFT_TYPE_TO_{name}_MAPPING" for name in ("CONFIG", "TUNER", "PREFIX")}
NOT_COVERED = {"PEFT_TYPE_TO_MIXED_MODEL_MAPPING"}
"""PeftMixedModel also checks a closed tuple of PEFT's own tuners."""


def tables() -> dict[str, dict]:
    """Every PEFT_TYPE_TO_* table in any module of PEFT, so that one that a later version adds is seen."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name == "peft" or name.startswith("peft."):
            found |= {key: value for key, value in vars(module).items() if key.startswith("PEFT_TYPE_TO_")}
    return found


def test_peft_tables_hold_the_classes() -> None:
    before = {name: dict(table) for name, table in tables().items()}
    assert {name for name, table in before.items() if "CDVFT" in table} == COVERED
    assert before.keys() - COVERED == NOT_COVERED
    register(peft)  # again
    assert {name: dict(table) for name, table in tables().items()} == before
    assert type(peft.get_peft_config({"peft_type": "CDVFT"})) is cdvft.CDVFTConfig
    assert peft.mapping.PEFT_TYPE_TO_TUNER_MAPPING["CDVFT"].prefix == "cdvft_"
    assert peft.mapping.PEFT_TYPE_TO_PREFIX_MAPPING[CDVFTPeftType.CDVFT] == "cdvft_"
    assert peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING["CDVFT"] is cdvft.CDVFTConfig
    assert peft.mapping.PEFT_TYPE_TO_TUNER_MAPPING["CDVFT"] is cdvft.CDVFTModel
