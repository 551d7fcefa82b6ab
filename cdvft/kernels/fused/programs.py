"""How many persistent programs a kernel is launched with."""

from __future__ import annotations

import functools

import torch

from cdvft.kernels.fused.plan import programs_per_multiprocessor

PROGRAMS_ELSEWHERE = 3
"""Where no device tells: in Triton's interpreter, whose programs run one after another."""


def programs_for(tokens: int, group: int, most: int) -> int:
    """Programs that loop over groups of `group` pairs of tokens: `most`, or one a group."""
    return max(1, min(-(-tokens // (2 * group)), most))


def resident(device: torch.device, warps: int) -> int:
    """Programs of so many warps that run at once."""
    if device.type != "cuda":
        return PROGRAMS_ELSEWHERE
    return _multiprocessors(device) * programs_per_multiprocessor(warps)


@functools.lru_cache
def _multiprocessors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count
