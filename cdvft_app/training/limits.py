"""Limits that whoever runs this sets in the environment."""

from __future__ import annotations

import os


def most_run_seconds() -> float | None:
    """How long a run may take, from CDVFT_MAX_RUN_SECONDS; None: as long as it needs."""
    return whole_number("CDVFT_MAX_RUN_SECONDS", 0) or None


def out_of_time(limit: float) -> str:
    return (
        f"Stopped after {limit:.0f} seconds, the limit of this server. Fewer steps, fewer examples or a "
        "smaller model take less; Resume goes on from the last checkpoint."
    )


def whole_number(name: str, default: int) -> int:
    """The variable's value, or the default where it is not set or empty."""
    text = os.environ.get(name)
    if not text:
        return default
    if not (text.isdecimal() and int(text) >= 1):
        raise ValueError(f"{name} must be a whole number of at least 1; got {text!r}.")
    return int(text)
