"""Where this process computes, and where a run would be trained: the device, its name, its free memory.

On a Space with ZeroGPU hardware a GPU is lent for seconds, to forks of the page's process. There torch claims
to see CUDA in every process that imported `spaces`, and only a fork that was lent a GPU may use it. Everybody
else stays on the CPU.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from cdvft_app.catalog import libraries
from cdvft_app.costs import memory
from cdvft_app.costs.memory import available_bytes
from cdvft_app.training.schedule import processes

_ON_CPU = "ACCELERATE_USE_CPU"  # accelerate reads it, too


def is_zero_gpu() -> bool:
    """Return whether this is a Space with ZeroGPU hardware."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def knows_lent_gpu() -> bool:
    """Return whether torch tells name and memory of the GPU that is lent, without touching it."""
    return is_zero_gpu() and "spaces" in sys.modules


def stay_on_cpu() -> None:
    """Keep this process and its children on the CPU, until `take_gpu`."""
    os.environ[_ON_CPU] = "true"


def is_on_cpu() -> bool:
    """Return whether this process was told to stay on the CPU: "1", "true" and "yes" all say so."""
    from accelerate.utils import parse_flag_from_env

    return parse_flag_from_env(_ON_CPU)


def take_gpu() -> None:
    """In a fork that was lent a GPU, have all that is built from now on go there."""
    import torch
    from accelerate.state import AcceleratorState

    os.environ.pop(_ON_CPU, None)
    AcceleratorState._reset_state(reset_partial_state=True)  # it remembers the device of the process before
    torch.set_num_threads(1)  # the other threads of that process's pool are not in its fork


def device_kind() -> str:
    """cuda, mps or cpu, as transformers' Trainer chooses."""
    torch = _torch()
    if is_on_cpu():
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def kind_of_training() -> str:
    """cuda, mps or cpu, where runs are trained: as `device_kind`, or on the GPU that is lent for them."""
    return "cuda" if knows_lent_gpu() else device_kind()


def kind_of_measured_steps() -> str:
    """cuda or cpu: elsewhere a step's memory cannot be read."""
    return "cuda" if device_kind() == "cuda" else "cpu"


def device_name(kind: str) -> str:
    """Return the device's name, such as "CPU, 2 threads", with the number of processes if not one."""
    if kind == "cuda":
        name = _torch().cuda.get_device_name()
    elif kind == "mps":
        name = "Apple GPU"
    else:
        threads = _torch().get_num_threads()
        name = f"CPU, {threads} thread{'s' if threads > 1 else ''}"
    return f"{name}, {processes()} processes" if processes() > 1 else name


def cpu_capabilities() -> dict[str, Any]:
    """Return what the processor has, as torch tells it; an empty dict before torch 2.11."""
    return getattr(_torch().cpu, "get_capabilities", dict)()


def cpu_threads() -> int:
    """Return the CPU threads of all processes of a run."""
    return _torch().get_num_threads() * processes()


def free_bytes(kind: str) -> int:
    """Memory that training can still have: the GPU's own, else the machine's."""
    return _torch().cuda.mem_get_info()[0] if kind == "cuda" else available_bytes()


def total_bytes(kind: str) -> int:
    """Memory that training could have if nothing else ran: the GPU's own, else the machine's."""
    return _torch().cuda.mem_get_info()[1] if kind == "cuda" else memory.total_bytes()


def _torch() -> Any:
    libraries.load()
    import torch

    return torch
