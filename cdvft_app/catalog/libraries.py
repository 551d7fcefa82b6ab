"""torch, transformers and their like: loaded when something needs them, and by one thread at a time.

The page is served before any of them is loaded. Whoever then needs them calls `load` first: transformers does
not bear being imported by two threads at once.
"""

from __future__ import annotations

import gc
import sys
import threading
from importlib import import_module

_HEAVY = ("torch", "torchvision", "timm", "datasets", "peft", "transformers.trainer", "scipy.stats")
_loading = threading.Lock()


def load() -> None:
    """Import them, or wait until another thread has.

    They are a million objects that stay: the garbage collector does not go through them, neither meanwhile
    nor afterwards, which would stop everything for about half a second each time.
    """
    with _loading:
        if all(name in sys.modules for name in _HEAVY):
            return
        gc.disable()
        try:
            for name in _HEAVY:
                import_module(name)
        finally:
            gc.enable()
        gc.freeze()
