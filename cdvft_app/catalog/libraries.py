"""torch, transformers and their like: loaded when something needs them, and by one thread at a time.

The page is served before any of them is loaded. Whoever then needs them calls `load` first: transformers does
not bear being imported by two threads at once.
"""

from __future__ import annotations

import gc
import pkgutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

_HEAVY = ("torch", "torchvision", "timm", "datasets", "peft", "transformers.trainer", "scipy.stats")
_loading = threading.Lock()


def load() -> None:
    """Import them, or wait until another thread has."""
    with _loading:
        if all(name in sys.modules for name in _HEAVY):
            return
        with uncollected():
            for name in _HEAVY:
                import_module(name)


def resolve(name: str) -> Any:
    """Return the object of this name, `module:object`, whose module may import them."""
    if name.partition(":")[0] in sys.modules:
        return pkgutil.resolve_name(name)
    with _loading, uncollected():
        return pkgutil.resolve_name(name)


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector from what is imported meanwhile.

    The libraries are a million objects that stay. Going through them takes a quarter of the time of their
    import, and stops everything for about half a second each time afterwards.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
    gc.freeze()
