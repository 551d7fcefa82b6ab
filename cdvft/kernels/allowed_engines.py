"""Which engines may be chosen: those that the environment names, or all that are verified on the device.

`CDVFT_ENGINE` names one of `ENGINE_NAMES` or a list, "native, chunked", for the whole process; "auto", the
default, stands for all that are verified. torch's own transforms replace an engine that cannot handle a
layer. "reference" counts alone: beside others, which are all faster, it is never chosen. `CDVFT_NATIVE=0` is
"auto" without "native".
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from pathlib import Path

import torch

ENGINE_NAMES = ("native", "fused", "chunked", "reference")
VERIFIED_DEVICES = Path(__file__).parent / "fused" / "verified_devices.json"
"""Names of devices on which `make gpu` found the fused kernels right, with the digest of those kernels."""


def requested_engines() -> tuple[str, ...] | None:
    """Return the engines that the environment asks for; None for "auto".

    Raises:
        ValueError: if it names something else.
    """
    requested = tuple(name.strip() for name in os.environ.get("CDVFT_ENGINE", "auto").split(","))
    if requested in (("auto",), ("",)):
        return None
    if unknown := [name for name in requested if name not in ENGINE_NAMES]:
        raise ValueError(
            f"CDVFT_ENGINE names {', '.join(map(repr, unknown))}, but it takes 'auto', or one or more of "
            f"{', '.join(map(repr, ENGINE_NAMES))}, with commas between."
        )
    return requested


@torch.compiler.assume_constant_result  # torch.compile need not trace how the environment is read
def is_allowed(engine: str, device: torch.device) -> bool:
    """Return whether an engine may be chosen automatically on a device."""
    requested = requested_engines()
    if requested is not None:
        return engine in requested
    if engine == "native":
        return os.environ.get("CDVFT_NATIVE") != "0"
    return engine != "fused" or (device.type == "cuda" and is_verified(torch.cuda.get_device_name(device)))


def is_verified(device: str) -> bool:
    """Return whether the fused kernels, as they are now, were found right on a device of this name."""
    return _verified_devices().get(device) == kernels_digest()


def record_verified(device: str) -> None:
    """Record that they were: they are chosen on such devices from then on."""
    record = {**_verified_devices(), device: kernels_digest()}
    VERIFIED_DEVICES.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    _verified_devices.cache_clear()


@functools.cache
def _verified_devices() -> dict[str, str]:
    return dict(json.loads(VERIFIED_DEVICES.read_text()))


@functools.cache
def kernels_digest() -> str:
    """Digest of the fused kernels' files."""
    files = sorted(VERIFIED_DEVICES.parent.glob("*.py"))
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]
