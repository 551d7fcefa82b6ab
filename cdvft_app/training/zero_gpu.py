"""ZeroGPU: hardware that a Hugging Face Space is lent for seconds, for forks of the page's process.

There torch claims to see CUDA in every process that imported `spaces`, and only a fork that was lent a GPU
may use it. Everybody else stays on the CPU.
"""

from __future__ import annotations

import os
import sys

_ON_CPU = "ACCELERATE_USE_CPU"  # read by accelerate, and by `device.device_kind`


def is_zero_gpu() -> bool:
    """Whether this is a Space with ZeroGPU hardware."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def knows_lent_gpu() -> bool:
    """Whether torch tells name and memory of the GPU that is lent, without touching it."""
    return is_zero_gpu() and "spaces" in sys.modules


def stay_on_cpu() -> None:
    """This process and its children, until `take_gpu`."""
    os.environ[_ON_CPU] = "true"


def take_gpu() -> None:
    """In a fork that was lent a GPU: what is built from now on goes there."""
    import torch
    from accelerate.state import AcceleratorState

    os.environ.pop(_ON_CPU, None)
    AcceleratorState._reset_state(reset_partial_state=True)  # it remembers the device of the process before
    torch.set_num_threads(1)  # the other threads of that process's pool are not in its fork
