"""Making the tuner known to PEFT, the one place that touches its tables."""

from __future__ import annotations

from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING

from cdvft.config import CDVFTConfig, CDVFTPeftType
from cdvft.model import CDVFTModel


def register() -> None:
    """Enter CDVFT into PEFT's tables, which its own `register_peft_method` keeps closed to outside names.

    Calling it again changes nothing.

    Raises:
        RuntimeError: if another package has entered a method of the same name.
    """
    entries: list[tuple[dict, object]] = [
        (PEFT_TYPE_TO_CONFIG_MAPPING, CDVFTConfig),
        (PEFT_TYPE_TO_TUNER_MAPPING, CDVFTModel),
        (PEFT_TYPE_TO_PREFIX_MAPPING, CDVFTModel.prefix),
    ]
    for table, ours in entries:
        theirs = table.get(CDVFTPeftType.CDVFT, ours)
        if theirs != ours:
            raise RuntimeError(
                f"PEFT already has a method named {CDVFTPeftType.CDVFT.value!r}: {theirs!r}, which is not "
                f"{ours!r}. Import only one of the two packages."
            )
    for table, ours in entries:
        table[CDVFTPeftType.CDVFT] = ours
