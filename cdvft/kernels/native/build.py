"""The compiled library for this processor: from the installed wheel, else from the user's cache.

The cache is filled on first use, where there is a C compiler.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch

from cdvft.kernels.allowed_engines import is_allowed
from cdvft.kernels.native import compiler

logger = logging.getLogger(__name__)


@functools.lru_cache
def library() -> ctypes.CDLL | None:
    """Return the compiled library; None without a C compiler, or where CDVFT_ENGINE leaves it out."""
    if not is_allowed("native", torch.device("cpu")):
        return None
    loaded = _shipped() or _compiled()
    if loaded is None:
        return None
    pointer, whole, wide = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
    common: list[Any] = [pointer, whole, wide, pointer, wide, pointer, ctypes.c_float]
    update: list[Any] = [pointer, pointer, pointer, ctypes.c_float, wide, wide, wide]
    loaded.cdvft_forward.argtypes = [*common, pointer, whole]
    loaded.cdvft_few.argtypes = [pointer, whole, wide, pointer, pointer, ctypes.c_float, pointer]
    loaded.cdvft_many.argtypes = [pointer, pointer, wide, wide, whole]
    loaded.cdvft_backward.argtypes = [*common, *[pointer] * 3, whole]
    loaded.cdvft_merge.argtypes = [pointer, wide, wide, wide, *update, pointer, whole]
    if not loaded.cdvft_parallel() and torch.get_num_threads() > 1:
        logger.warning(
            "CDVFT's compiled kernel runs on one thread, for the compiler that made it has no OpenMP. "
            "Built from source by GCC, or by Clang with libomp, it uses all."
        )
    return loaded


def _shipped() -> ctypes.CDLL | None:
    file = compiler.shipped(torch.backends.cpu.get_cpu_capability())
    if file is None:
        return None
    try:
        return ctypes.CDLL(str(file))  # OpenMP's library is torch's, which is loaded already
    except OSError as error:
        logger.info("The kernel in the wheel does not load here; it is compiled on this machine: %s", error)
        return None


def _compiled() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(compiled()))
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        # RuntimeError: nobody's home; ValueError: CC with an open quotation mark.
        logger.warning(
            "CDVFT has no native kernel; torch's own, slower transforms are used instead: %s", error
        )
        return None


def cache_folder() -> Path:
    """Return the folder of the user's cache for compiled libraries and measured times; it may not exist.

    Raises:
        RuntimeError: if the user has no home.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cdvft"


def compiled() -> Path:
    """Return the library in the user's cache, compiled where it is missing.

    Its name contains a digest of sources, compiler and flags, so that machines may share the cache.
    """
    capability = torch.backends.cpu.get_cpu_capability()
    capability = capability if capability in compiler.INSTRUCTIONS else compiler.PLAIN
    sources = (compiler.FOLDER.joinpath(name).read_text() for name in compiler.SOURCES)
    recipe = [*sources, *compiler.compiler(), *compiler.flags_for(capability)]
    cache = cache_folder()
    digest = hashlib.sha256("\0".join(recipe).encode()).hexdigest()
    target = cache / f"chain-{digest[:16]}{compiler.SUFFIX}"
    if not target.exists():
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            fresh = Path(scratch) / target.name
            compiler.compile_to(fresh, capability)
            fresh.replace(target)  # atomic: processes that start together all find a whole file
    return target
