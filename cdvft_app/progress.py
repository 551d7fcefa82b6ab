"""Long work as its caller follows it: the caller hears how far it is, and says when to stop."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float | None, str], None]
"""Hears the share of the work that is done, None where nobody knows it, and what is done now, in words."""
ShouldStop = Callable[[], object]
"""Asked now and then; whatever is true ends the work."""


def silent(fraction: float | None, text: str) -> None:
    """Tell nobody: the progress of a caller who does not want to hear it."""


def never() -> bool:
    """Return False: the `should_stop` of a caller who never stops."""
    return False
