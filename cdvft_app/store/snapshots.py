"""Factor vectors as they were at one step, one safetensors file a step in the run's folder.

Keys are "<module name>/<vector>": "…query/diagonal.0", "…query/circulant.0"; "…/A" and "…/B" for LoRA;
"…/spectrum", "…/indices" and "…/size" for FourierFT; "…/kernel" for C3A.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from cdvft_app.files import replacing
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import StoreError

BYTES_LIMIT = 4 * 2**20
MAX_SNAPSHOTS, MIN_SNAPSHOTS = 50, 20
BYTES_OF_RUN = MIN_SNAPSHOTS * BYTES_LIMIT
FILE = re.compile(r"step-(\d{6,})\.safetensors")


def planned(steps: int, bytes_each: int) -> set[int]:
    """Return the steps after which a run of so many keeps its vectors: 0, and then about every 2 %.

    Where 50 snapshots take more than 80 MiB there are fewer, down to one for every 5 %.
    """
    count = max(MIN_SNAPSHOTS, min(MAX_SNAPSHOTS, BYTES_OF_RUN // max(1, bytes_each)))
    return {round(part * steps / count) for part in range(count + 1)}


def write(folder: Path, step: int, tensors: Mapping[str, Any]) -> str:
    """Keep the vectors (torch or numpy) of `step`: floats as float32, integers as they are.

    Returns the file's path inside `folder`. Raises `StoreError` above 4 MiB, before anything is written.
    """
    arrays = {key: _array(tensor) for key, tensor in tensors.items()}
    size = sum(array.nbytes for array in arrays.values())
    if size > BYTES_LIMIT:
        raise StoreError(
            f"The factors of step {step} take {size / 2**20:.1f} MiB and are not kept: the limit is "
            f"{BYTES_LIMIT // 2**20} MiB a step. Fewer “{RunSettings.model_fields['target_modules'].title}” "
            "or fewer parameters make them fit."
        )
    file = _file(step)
    path = folder / file
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with replacing(path, private=True) as new:
        save_file(arrays, new)
    return file


def read(folder: Path, step: int, prefix: str = "") -> dict[str, np.ndarray]:
    """Return the vectors of `step` whose keys begin with `prefix`, keyed without it.

    Raises:
        StoreError: there are none, or they cannot be read.
    """
    with _opened(folder, step) as tensors:
        return {
            key.removeprefix(prefix): tensors.get_tensor(key)
            for key in tensors.keys()  # noqa: SIM118 (safetensors' file is no mapping)
            if key.startswith(prefix)
        }


def written(folder: Path, step: int) -> int:
    """Return when the snapshot of `step` was written, in nanoseconds since 1970; 0 where there is none."""
    try:
        return (folder / _file(step)).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


@contextmanager
def _opened(folder: Path, step: int) -> Iterator[Any]:
    try:
        with safe_open(folder / _file(step), framework="numpy") as tensors:
            yield tensors
    except FileNotFoundError:
        known = ", ".join(map(str, steps(folder))) or "none"
        raise StoreError(f"No factors were kept at step {step}; kept steps: {known}.") from None
    except SafetensorError as error:
        raise StoreError(f"The factors of step {step} cannot be read ({error}).") from error


def steps(folder: Path) -> list[int]:
    """Return the steps that have a complete snapshot, in order: a truncated file costs its step alone."""
    return [step for step in _kept(folder) if _whole(folder / _file(step))]


def damaged(folder: Path) -> list[int]:
    """Return the steps whose snapshot cannot be read."""
    return [step for step in _kept(folder) if not _whole(folder / _file(step))]


def remove(folder: Path, step: int) -> None:
    (folder / _file(step)).unlink()


def _whole(file: Path) -> bool:
    """Return whether the file is as long as its header says; its tensors are not read."""
    try:
        status = file.stat()
        return _opens(file, status.st_mtime_ns, status.st_size)
    except OSError:
        return False


@lru_cache(maxsize=100_000)
def _opens(file: Path, written: int, size: int) -> bool:
    try:
        with safe_open(file, framework="numpy"):
            return True
    except SafetensorError:
        return False


def _kept(folder: Path) -> list[int]:
    names = (FILE.fullmatch(path.name) for path in (folder / "snapshots").glob("step-*.safetensors"))
    return sorted(int(name[1]) for name in names if name)


def remove_after(folder: Path, step: int) -> None:
    """Remove the snapshots of later steps, which a run resumed at `step` writes again."""
    for later in _kept(folder):
        if later > step:
            remove(folder, later)


def _file(step: int) -> str:
    return f"snapshots/step-{step:06d}.safetensors"


def _array(tensor: Any) -> np.ndarray:
    if hasattr(tensor, "detach"):  # torch, without importing it
        tensor = tensor.detach().cpu()
        tensor = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    array = np.asarray(tensor)
    return np.ascontiguousarray(array.astype(np.float32) if array.dtype.kind == "f" else array)
