"""Which engines may serve: those that the environment names, else all but what no device has proven.

`CDVFT_ENGINE` names one of `NAMES` or a list, "native, chunked", for a whole process; "auto", as without it,
all that are proven. What the engines named cannot take torch's own transforms do. `CDVFT_NATIVE=0` is "auto"
without "native".
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from pathlib import Path

import torch

NAMES = ("native", "fused", "chunked", "reference")
PROVEN = Path(__file__).parent / "fused" / "proven.json"
"""Devices on which `make gpu` found the fused kernels right, by name: the digest of the kernels it ran."""


def named() -> tuple[str, ...] | None:
    """What the environment asks for; None for "auto".

    Raises:
        ValueError: if it names something else.
    """
    asked = tuple(name.strip() for name in os.environ.get("CDVFT_ENGINE", "auto").split(","))
    if asked in (("auto",), ("",)):
        return None
    if wrong := [name for name in asked if name not in NAMES]:
        raise ValueError(
            f"CDVFT_ENGINE names {', '.join(map(repr, wrong))}, but it takes 'auto', or one or more of "
            f"{', '.join(map(repr, NAMES))}, with commas between."
        )
    return asked


@torch.compiler.assume_constant_result  # a compiler need not read how the environment is
def may_serve(engine: str, device: torch.device) -> bool:
    """Whether an engine serves by itself where it can."""
    asked = named()
    if asked is not None:
        return engine in asked
    if engine == "native":
        return os.environ.get("CDVFT_NATIVE") != "0"
    return engine != "fused" or (device.type == "cuda" and is_proven(torch.cuda.get_device_name(device)))


def is_proven(device: str) -> bool:
    """Whether these very kernels were found right on a device of this name."""
    return _proven().get(device) == digest()


def prove(device: str) -> None:
    """Record that they were: they serve on such devices from then on."""
    PROVEN.write_text(json.dumps({**_proven(), device: digest()}, indent=1, sort_keys=True) + "\n")
    _proven.cache_clear()


@functools.cache
def _proven() -> dict[str, str]:
    return dict(json.loads(PROVEN.read_text()))


@functools.cache
def digest() -> str:
    """Of the fused kernels' files."""
    files = sorted(PROVEN.parent.glob("*.py"))
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]
