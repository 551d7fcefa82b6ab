"""A clock of the test's own, which the modules that it names see and nobody else.

`time` is one module for all: to change it there changes it for the threads that other tests have left behind,
and one that ends its process after a day without a question did so, in the middle of the suite.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from types import ModuleType, SimpleNamespace

import pytest


def set_clock(
    monkeypatch: pytest.MonkeyPatch, modules: Iterable[ModuleType], **functions: Callable[..., object]
) -> None:
    """Let `modules` find these functions in `time`, and all others as they are."""
    for module in modules:
        monkeypatch.setattr(module, "time", SimpleNamespace(**vars(time) | functions))


class Clock:
    """Shows what the test says."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now
