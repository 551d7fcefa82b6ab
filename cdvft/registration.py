"""Making the tuner known to PEFT, the one place that touches its tables."""

from __future__ import annotations

import enum
from importlib import import_module
from types import ModuleType
from typing import Any

from wrapt import LazyObjectProxy


class CDVFTPeftType(str, enum.Enum):
    """Stands beside PEFT's closed enum of methods; equals its string and hashes alike, as those do."""

    CDVFT = "CDVFT"


def _at_first_use(table: str, module: str, name: str) -> Any:
    """Stands for a class in one of PEFT's tables until PEFT uses it: then it is imported and put there.

    Registering imports nothing, so that it can neither meet a module of this package halfway through its own
    import of PEFT, nor wait for a thread that waits for PEFT.
    """

    def load() -> Any:
        registered = getattr(import_module(module), name)
        getattr(import_module("peft.mapping"), table)[CDVFTPeftType.CDVFT] = registered
        return registered

    return LazyObjectProxy(load, interface=type)


PREFIX = "cdvft_"
"""What the names of an adapter's parameters begin with."""

_CONFIGS, _TUNERS = "PEFT_TYPE_TO_CONFIG_MAPPING", "PEFT_TYPE_TO_TUNER_MAPPING"
_ENTRIES = {
    _CONFIGS: _at_first_use(_CONFIGS, "cdvft.config", "CDVFTConfig"),
    _TUNERS: _at_first_use(_TUNERS, "cdvft.model", "CDVFTModel"),
    "PEFT_TYPE_TO_PREFIX_MAPPING": PREFIX,
}


def register(peft: ModuleType) -> None:
    """Enter CDVFT into PEFT's tables, which its own `register_peft_method` keeps closed to outside names.

    Calling it again changes nothing.

    Raises:
        RuntimeError: if another package has entered a method of the same name.
    """
    import_module(peft.__name__)  # whole: another thread may still be importing it
    tables = [(getattr(peft.mapping, name), entry) for name, entry in _ENTRIES.items()]
    for table, entry in tables:
        found = table.get(CDVFTPeftType.CDVFT, entry)
        if found is not entry and found != entry:
            raise RuntimeError(
                f"PEFT already has a method named {CDVFTPeftType.CDVFT.value!r}: {found!r}, which is not "
                "this package's. Import only one of the two packages."
            )
    for table, entry in tables:
        table.setdefault(CDVFTPeftType.CDVFT, entry)
