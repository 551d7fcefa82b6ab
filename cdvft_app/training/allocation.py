"""What a step frees is kept for the next one: a CPU otherwise fetches the same memory anew, page by page.

glibc gives large blocks back to the system as soon as they are free. One step of SmolLM2-135M touched 97,000
new pages for that reason; without, it takes 3 to 6 % less time, and the process is 2 % larger at its peak.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # as malloc.h of glibc numbers them
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """From now on this process keeps what it frees until it ends; whether its C library can."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and all(
        mallopt(option, _LARGEST) for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD)
    )
