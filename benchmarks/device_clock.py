"""Time, memory, clocks and power of a CUDA or MPS device, and launches as its profiler counts them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


def at_hand() -> torch.device | None:
    """The accelerator of this machine; None where there is none."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps") if torch.backends.mps.is_available() else None


def timed(run: Callable[[], object], device: torch.device) -> Callable[[], float | None]:
    """The same call, giving the seconds between two events of the device; a CPU has the clock alone."""
    if device.type == "cpu":
        return lambda: (run(), None)[1]
    module: Any = torch.cuda if device.type == "cuda" else torch.mps
    event = torch.cuda.Event if device.type == "cuda" else torch.mps.event.Event

    def call() -> float:
        start, end = event(enable_timing=True), event(enable_timing=True)
        start.record()
        run()
        end.record()
        module.synchronize()
        return start.elapsed_time(end) / 1e3

    return call


def describe(device: torch.device) -> dict[str, Any]:
    """Name, memory and driver of the device."""
    if device.type != "cuda":
        return {"name": {"mps": "Apple MPS", "cpu": "CPU"}[device.type]}
    properties = torch.cuda.get_device_properties(device)
    return {
        "name": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "memory_bytes": properties.total_memory,
        "multiprocessors": properties.multi_processor_count,
        "cuda": torch.version.cuda,
    }


STATE = (
    "driver_version",
    "clocks.sm",
    "clocks.mem",
    "power.draw",
    "temperature.gpu",
    "clocks_throttle_reasons.active",
)


def state(device: torch.device) -> dict[str, str]:
    """Driver, clocks, power and temperature as NVIDIA's tool says them now; empty elsewhere."""
    if device.type != "cuda":
        return {}
    command = ["nvidia-smi", f"--query-gpu={','.join(STATE)}", "--format=csv,noheader", "--id=0"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return {"error": str(error)}
    return dict(zip(STATE, (field.strip() for field in said.strip().split(",")), strict=False))


def peak_bytes(run: Callable[[], object], device: torch.device) -> int | None:
    """Most memory of the device that the call took beyond what was taken before; CUDA alone tells."""
    if device.type != "cuda":
        return None
    run()
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


NOTHING_DONE = (
    "empty", "empty_like", "new_empty", "new_empty_strided", "empty_strided", "detach",
    "_unsafe_view", "split", "split_with_sizes", "unbind",
)  # fmt: skip
"""Operators that give bare memory, or views, which torch does not say of them."""


class Operators(TorchDispatchMode):
    """Counts the operators of torch that make tensors; views and bare memory left out."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        first = out[0] if isinstance(out, (tuple, list)) and out else out
        free = function.is_view or function.overloadpacket.__name__ in NOTHING_DONE
        self.count += isinstance(first, Tensor) and not free
        return out


def captured(run: Callable[[], object], device: torch.device) -> Callable[[], None]:
    """The same call as a CUDA graph: one launch in place of all of its own.

    Raises:
        RuntimeError: from CUDA, if something in it waits for the device
    """
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):  # compiles what is compiled on first use, and makes the optimizer's state
        for _ in range(3):
            run()
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def launches(run: Callable[[], object], device: torch.device) -> int | None:
    """Kernels that one call launches, by torch's profiler; None off CUDA."""
    if device.type != "cuda":
        return None
    from torch.profiler import ProfilerActivity, profile

    run()
    torch.cuda.synchronize(device)
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        run()
        torch.cuda.synchronize(device)
    return sum(map(_is_kernel, profiler.events()))


def _is_kernel(event: Any) -> bool:
    """Whether it ran on the device: the host's call that launched it is an event of its own."""
    on_host = event.device_type == torch.autograd.DeviceType.CPU
    return not on_host and not event.name.lower().startswith(("memcpy", "memset"))
