"""How much memory this process, or torch on a GPU, took at most since some moment."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from pathlib import Path

import psutil
import torch


class PeakMemory:
    """The largest growth of this process, or of torch's memory on a GPU, since this object was created."""

    def __init__(self, device: torch.device) -> None:
        gc.collect()
        self.cuda = device.type == "cuda"
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
        with suppress(OSError, AttributeError):  # glibc keeps freed memory of the method before
            ctypes.CDLL(None).malloc_trim(0)
        self.process = psutil.Process()
        self.before = self.highest = self.process.memory_info().rss
        with suppress(OSError):  # Linux: forget the highest mark so far
            Path("/proc/self/clear_refs").write_text("5")

    def look(self) -> None:
        self.highest = max(self.highest, self.process.memory_info().rss)

    def peak(self) -> int:
        if self.cuda:
            return torch.cuda.max_memory_allocated()
        with suppress(OSError, StopIteration):
            lines = Path("/proc/self/status").read_text().splitlines()
            marked = next(line for line in lines if line.startswith("VmHWM"))
            self.highest = max(self.highest, 1024 * int(marked.split()[1]))
        return self.highest - self.before
