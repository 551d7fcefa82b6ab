"""Which trackers get a run's losses: those that CDVFT_REPORT_TO names, if their packages are installed."""

from __future__ import annotations

import os
from importlib.util import find_spec

from cdvft_app.settings import InvalidChoice

NAME = "CDVFT_REPORT_TO"
PACKAGES = {"tensorboard": ("tensorboard", "tensorboardX"), "trackio": ("trackio",)}


def report_to() -> tuple[str, ...]:
    """The trackers that CDVFT_REPORT_TO names, with commas between them.

    Raises:
        InvalidChoice: one is not known here, or its package is missing.
    """
    named = tuple(part for one in os.environ.get(NAME, "").split(",") if (part := one.strip()))
    for one in named:
        if one not in PACKAGES:
            raise InvalidChoice(
                f"{NAME}: got {one[:40]!r}; it is {' or '.join(PACKAGES)}, or both with a comma."
            )
        if not any(map(find_spec, PACKAGES[one])):
            raise InvalidChoice(f"{NAME}: {one} is not installed here; run `pip install {one}`, or unset it.")
    return named
