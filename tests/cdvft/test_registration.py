"""Every table of PEFT that is keyed by method knows CDVFT, or a reason stands here."""

import sys

import peft.mapping
import pytest

import cdvft
from cdvft.config import CDVFTPeftType
from cdvft.registration import register

COVERED = {f"PEFT_TYPE_TO_{name}_MAPPING" for name in ("CONFIG", "TUNER", "PREFIX")}
NOT_COVERED = {
    "PEFT_TYPE_TO_MIXED_MODEL_MAPPING": "PeftMixedModel checks a closed tuple of PEFT's own tuners besides",
}


def tables() -> dict[str, dict]:
    """Every PEFT_TYPE_TO_* table in any module of PEFT, so that one that a later version adds is seen."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name == "peft" or name.startswith("peft."):
            found |= {key: value for key, value in vars(module).items() if key.startswith("PEFT_TYPE_TO_")}
    return found


def test_every_table_is_covered_or_excused_and_its_entries_are_the_classes_once_they_are_used() -> None:
    assert {name for name, table in tables().items() if "CDVFT" in table} == COVERED
    assert tables().keys() - COVERED == NOT_COVERED.keys()
    assert type(peft.get_peft_config({"peft_type": "CDVFT"})) is cdvft.CDVFTConfig
    assert peft.mapping.PEFT_TYPE_TO_TUNER_MAPPING["CDVFT"].prefix == "cdvft_"
    assert peft.mapping.PEFT_TYPE_TO_PREFIX_MAPPING[CDVFTPeftType.CDVFT] == "cdvft_"
    assert peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING["CDVFT"] is cdvft.CDVFTConfig
    assert peft.mapping.PEFT_TYPE_TO_TUNER_MAPPING["CDVFT"] is cdvft.CDVFTModel


def test_registering_again_changes_nothing() -> None:
    before = {name: dict(table) for name, table in tables().items()}
    register(peft)
    assert {name: dict(table) for name, table in tables().items()} == before


@pytest.mark.parametrize("table", sorted(COVERED))
def test_somebody_elses_entry_is_not_overwritten(monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    theirs = "another package's entry"
    monkeypatch.setitem(getattr(peft.mapping, table), "CDVFT", theirs)
    with pytest.raises(RuntimeError, match=r"'CDVFT': \"another package's entry\".*Import only one"):
        register(peft)
    assert getattr(peft.mapping, table)["CDVFT"] == theirs
