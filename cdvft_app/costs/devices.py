"""The devices that a decision can be asked for: this one, and GPUs from their makers' data sheets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

HERE: Literal["here"] = "here"


@dataclass(frozen=True)
class Device:
    """`bytes` of memory, 10⁹ a GB; `bandwidth` of it in bytes a second; None where it is not known.

    `half`: FLOPs a second of dense products in half precision on tensor cores, with sums in float32.
    """

    key: str
    title: str
    bytes: int | None
    bandwidth: float | None = None
    bfloat16: bool = True
    source: str = ""
    half: float | None = None

    @property
    def phrase(self) -> str:
        """An RTX 4090 with 24 GB."""
        if self.key == HERE:
            return "this machine"
        article = "an" if self.title[0] in "ALRH" else "a"
        return f"{article} {self.title.partition(' (')[0]} with {self.bytes // 10**9 if self.bytes else 0} GB"


GPUS: tuple[Device, ...] = (
    Device("t4", "T4 (16 GB)", 16 * 10**9, 320e9, False, "NVIDIA T4 product brief PB-09256-001", 65e12),
    Device("l4", "L4 (24 GB)", 24 * 10**9, 300e9, True, "NVIDIA L4 data sheet", 121e12),
    Device(
        "rtx4090", "RTX 4090 (24 GB)", 24 * 10**9, 1008e9, True, "NVIDIA Ada architecture, appendix A",
        165.2e12,
    ),
    Device(
        "a100-40", "A100 (40 GB)", 40 * 10**9, 1555e9, True, "NVIDIA A100 data sheet, PCIe and SXM",
        312e12,
    ),
    Device(
        "a100-80", "A100 (80 GB)", 80 * 10**9, 1935e9, True, "NVIDIA A100 data sheet, PCIe", 312e12
    ),
    Device("h100", "H100 (80 GB)", 80 * 10**9, 2000e9, True, "NVIDIA H100 data sheet, PCIe", 756e12),
)  # fmt: skip
KEYS = (HERE, *(gpu.key for gpu in GPUS))


def device(key: str, here_bytes: int | None = None) -> Device:
    """The device of this key, one of `KEYS`; `here_bytes`: the memory of this one, None: not known."""
    if key == HERE:
        return Device(HERE, "this machine", here_bytes)
    return next(gpu for gpu in GPUS if gpu.key == key)


def named(name: str) -> Device | None:
    """The GPU that a driver calls so, of several by the memory in the name; None: none that is known."""
    found = [gpu for gpu in GPUS if re.search(rf"\b{gpu.title.partition(' (')[0]}\b", name)]
    return max(found, key=lambda gpu: f"{(gpu.bytes or 0) // 10**9}GB" in name, default=None)
