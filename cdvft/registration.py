"""Registers the tuner with PEFT: the one module that changes PEFT's mappings.

`cdvft` calls `register` once PEFT is imported, before or after itself and in whichever thread: wrapt's import
hooks do that, and its proxies stand for classes that are not imported yet.
"""

from __future__ import annotations

import enum
from importlib import import_module
from types import ModuleType
from typing import Any

from wrapt import LazyObjectProxy


class CDVFTPeftType(str, enum.Enum):  # noqa: UP042 - str() as PEFT's own enum
    """Stands beside PEFT's closed enum of methods; equals its string and hashes alike, as those do."""

    CDVFT = "CDVFT"


def _lazy_entry(table: str, module: str, name: str) -> Any:
    """A proxy for a class in one of PEFT's mappings; at first use it imports the class and replaces itself.

    So registering imports nothing: it can neither find a module of this package half imported, while that
    imports PEFT, nor wait for the import lock of a thread that itself waits for PEFT's.
    """

    def load() -> Any:
        registered = getattr(import_module(module), name)
        getattr(import_module("peft.mapping"), table)[CDVFTPeftType.CDVFT] = registered
        return registered

    return LazyObjectProxy(load, interface=type)


PREFIX = "cdvft_"
"""The prefix of the names of an adapter's parameters."""

_CONFIGS, _TUNERS = "PEFT_TYPE_TO_CONFIG_MAPPING", "PEFT_TYPE_TO_TUNER_MAPPING"
_ENTRIES = {
    _CONFIGS: _lazy_entry(_CONFIGS, "cdvft.config", "CDVFTConfig"),
    _TUNERS: _lazy_entry(_TUNERS, "cdvft.model", "CDVFTModel"),
    "PEFT_TYPE_TO_PREFIX_MAPPING": PREFIX,
}


def register(peft: ModuleType) -> None:
    """Add CDVFT to PEFT's mappings; PEFT's own `register_peft_method` accepts only names of its enum.

    Calling it again changes nothing.

    Raises:
        RuntimeError: if another package has registered a method of the same name.
    """
    import_module(peft.__name__)  # waits where another thread is still importing it
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
