"""Compile the C sources once for this processor, keep the library in the user's cache, load it from there."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch

logger = logging.getLogger(__name__)

SOURCES = ("chain.c", "merge.c", "stage.h", "rows.h", "fft.h")
FLAGS = ("-O3", "-std=gnu11", "-shared", "-fPIC")
INSTRUCTIONS = {
    "AVX512": ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma"),
    "AVX2": ("-mavx2", "-mfma"),
}
"""By what torch says the processor can do, so that a cache shared by machines never serves the wrong code."""


@functools.lru_cache
def library() -> ctypes.CDLL | None:
    """The compiled library; None without a C compiler, or where the environment has CDVFT_NATIVE=0."""
    if os.environ.get("CDVFT_NATIVE") == "0":
        return None
    try:
        loaded = ctypes.CDLL(str(compiled()))
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        # RuntimeError: nobody's home; ValueError: CC with an open quotation mark.
        logger.warning("CDVFT has no native kernel; torch's own, slower transforms serve instead: %s", error)
        return None
    pointer, whole, wide = ctypes.c_void_p, ctypes.c_int, ctypes.c_long
    common: list[Any] = [pointer, whole, wide, pointer, wide, pointer, ctypes.c_float]
    update: list[Any] = [pointer, pointer, pointer, ctypes.c_float, wide, wide, wide]
    loaded.cdvft_forward.argtypes = [*common, pointer, whole]
    loaded.cdvft_backward.argtypes = [*common, *[pointer] * 3, whole]
    loaded.cdvft_merge.argtypes = [pointer, wide, wide, wide, *update, pointer, whole]
    return loaded


def compiled() -> Path:
    folder = Path(__file__).parent
    compiler = _compiler()
    flags = [*FLAGS, *INSTRUCTIONS.get(torch.backends.cpu.get_cpu_capability(), ())]
    recipe = [*(folder.joinpath(name).read_text() for name in SOURCES), *compiler, *flags]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cdvft"
    digest = hashlib.sha256("\0".join(recipe).encode()).hexdigest()
    target = cache / f"chain-{digest[:16]}.so"
    if not target.exists():
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            fresh = Path(scratch) / target.name
            command = [
                *compiler,
                *flags,
                *(str(folder / name) for name in SOURCES if name.endswith(".c")),
                "-o",
                str(fresh),
            ]
            try:
                _run([*command, "-fopenmp"])
            except subprocess.SubprocessError:  # a compiler without OpenMP: one thread
                _run(command)
            fresh.replace(target)  # atomic: processes that start together all find a whole file
    return target


def _compiler() -> list[str]:
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        words = shlex.split(name or "")
        if words and shutil.which(words[0]):
            return words
    raise FileNotFoundError(
        "no C compiler on the path: install one, or name it in the environment variable CC."
    )


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=120)
