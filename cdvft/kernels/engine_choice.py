"""Chooses an engine and a plan for a layer: the fastest measured on this machine, or by the cost model.

Measured times are kept in the user's cache: one file per device, driver, version of torch and of these
kernels and, on the CPU, number of threads. Nothing is measured unless `calibration.calibrate` is called.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from cdvft.kernels import chunked, fused, native
from cdvft.kernels.allowed_engines import is_allowed
from cdvft.kernels.cost_model import PLANS, Plan, choose_plan
from cdvft.kernels.native.build import cache_folder
from cdvft.private_names import cuda_driver

logger = logging.getLogger(__name__)

ENGINES: dict[str, ModuleType] = {"native": native, "fused": fused, "chunked": chunked}
"""The implementations of the transforms, fastest first."""


class Selection(NamedTuple):
    """The name of an engine, and which passes use a dense update instead of its transforms."""

    engine: str
    plan: Plan

    @property
    def module(self) -> ModuleType:
        """The engine's module."""
        return ENGINES[self.engine]

    @property
    def key(self) -> str:
        """Its name in measured times: "engine, plan"."""
        return f"{self.engine}, {next(name for name, plan in PLANS.items() if plan == self.plan)}"


def select(
    x: Tensor,
    diagonals: Sequence[Tensor],
    circulants: Sequence[Tensor],
    *,
    separate: bool,
    backend: Literal["auto", "fft", "fused", "merged"],
) -> Selection:
    """Return the engine and plan that "auto" chooses, or those of another backend.

    Args:
        x: (..., d_in)
        diagonals, circulants: the vectors, in the dtype of the arithmetic
        separate: whether the update is computed by itself, not within the product with the weight
    """
    if backend == "fused" and fused.supports(x, circulants):
        return Selection("fused", PLANS["transforms"])
    engine = available_engines(x, circulants)[0]
    if backend != "auto":
        return Selection(engine, PLANS["merged" if backend == "merged" else "transforms"])
    seconds = measured_times(problem_key(x, diagonals, circulants, separate=separate), x.device)
    measured = [s for s in selections(x, circulants) if s.key in seconds] if seconds else []
    if seconds and measured:
        return min(measured, key=lambda selection: seconds[selection.key])
    return Selection(
        engine,
        choose_plan(
            tuple(c.shape for c in circulants),
            tuple(a.numel() for a in diagonals),
            tokens=x.shape[:-1].numel(),
            separate=separate,
            engine=engine,
            device=x.device.type,
        ),
    )


def selections(x: Tensor, circulants: Sequence[Tensor]) -> list[Selection]:
    """Return every plan of every available engine; "merged", which uses no transforms, only once."""
    names = available_engines(x, circulants)
    with_transforms = [plan for name, plan in PLANS.items() if name != "merged"]
    return [
        *(Selection(name, plan) for name in names for plan in with_transforms),
        Selection(names[0], PLANS["merged"]),
    ]


def available_engines(x: Tensor, circulants: Sequence[Tensor]) -> list[str]:
    """The engines that are allowed and support the layer, fastest first; "chunked" supports every layer."""
    names = [
        name
        for name, module in ENGINES.items()
        if is_allowed(name, x.device) and (name == "chunked" or module.supports(x, circulants))
    ]
    return names or ["chunked"]


SOURCES = (".py", ".c", ".h")

Seconds = Mapping[str, float]
"""The seconds of a forward and backward pass, by "engine, plan", such as "native, merged forward"."""
WRONG = math.inf
"""Instead of seconds, for an engine and plan whose results were wrong."""


class ProblemKey(NamedTuple):
    """What a measured time depends on besides the machine.

    circulants: q1, q2, p of each
    sizes: lengths of the diagonals
    tokens: rounded to the nearest power of two
    separate: whether the update is computed by itself
    dtype: of the input
    """

    circulants: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]
    tokens: int
    separate: bool
    dtype: str


def problem_key(
    x: Tensor, diagonals: Sequence[Tensor], circulants: Sequence[Tensor], *, separate: bool
) -> ProblemKey:
    """Return the key of the times for an input (..., d_in) and an adapter's vectors."""
    tokens = x.shape[:-1].numel()
    nearest = 1 << round(math.log2(tokens)) if tokens else 0
    shapes = tuple(tuple(c.shape) for c in circulants)
    return ProblemKey(shapes, tuple(a.numel() for a in diagonals), nearest, separate, str(x.dtype))


def measured_times(key: ProblemKey, device: torch.device) -> Seconds | None:
    """Return seconds by engine and plan on this machine; None where they were not measured."""
    return _table(device, torch.get_num_threads()).get(key)


def keep_times(key: ProblemKey, device: torch.device, seconds: Seconds) -> Path:
    """Store measured times, for this process and later ones; returns the file."""
    table = {**_table(device, torch.get_num_threads()), key: seconds}
    record = {"machine": machine(device), "cases": [{**c._asdict(), "seconds": s} for c, s in table.items()]}
    path = _path(device)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(record, indent=1) + "\n")
    fresh.replace(path)  # atomic: processes that start together all find a whole file
    _table.cache_clear()
    return path


def machine(device: torch.device) -> dict[str, Any]:
    """Return the machine that times are valid for."""
    versions = {"torch": torch.__version__, "kernels": _version()}
    if device.type == "cuda":
        name, driver = torch.cuda.get_device_name(device), cuda_driver()
        return {"device": "cuda", "name": name, "driver": driver, **versions}
    return {"device": device.type, "name": _processor(), "threads": torch.get_num_threads(), **versions}


@functools.cache
def _version() -> str:
    """Digest of the kernels' sources: another release may make another engine the fastest."""
    files = sorted(f for f in Path(__file__).parent.rglob("*") if f.suffix in SOURCES)
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _path(device: torch.device) -> Path:
    digest = hashlib.sha256(json.dumps(machine(device), sort_keys=True).encode()).hexdigest()
    return cache_folder() / "timings" / f"{digest[:16]}.json"


@functools.lru_cache
def _table(device: torch.device, threads: int) -> dict[ProblemKey, Seconds]:
    """The stored times of a device; `threads` is part of this cache's key as it is of the file's name."""
    try:
        path = _path(device)
    except RuntimeError:  # a user without a home directory
        return {}
    try:
        return {_read_key(found): found["seconds"] for found in json.loads(path.read_text())["cases"]}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("The times in %s cannot be read, so that estimates choose: %s", path, error)
        return {}


def _read_key(found: dict[str, Any]) -> ProblemKey:
    shapes, sizes = tuple(map(tuple, found["circulants"])), tuple(found["sizes"])
    return ProblemKey(shapes, sizes, found["tokens"], found["separate"], found["dtype"])
