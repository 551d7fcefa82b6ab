"""Chooses an engine and a plan for a layer: the fastest measured on this machine, or by the cost model."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Literal, NamedTuple

from torch import Tensor

from cdvft.circulant import Factors
from cdvft.kernels import chunked, fused, merged, native, timings
from cdvft.kernels.allowed_engines import is_allowed, requested_engines
from cdvft.kernels.cost_model import PLANS, Plan, choose_plan

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
        """The key in `timings`: "engine, plan"."""
        return f"{self.engine}, {next(name for name, plan in PLANS.items() if plan == self.plan)}"


def select(
    x: Tensor,
    diagonals: Sequence[Tensor],
    circulants: Sequence[Tensor],
    *,
    separate: bool,
    backend: Literal["auto", "fft", "fused", "merged"],
) -> Selection:
    """The engine and plan that "auto" chooses, or those of another backend.

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
    seconds = timings.measured(timings.case_of(x, diagonals, circulants, separate=separate), x.device)
    measured = [s for s in selections(x, circulants) if s.key in seconds] if seconds else []
    if seconds and measured:
        return min(measured, key=lambda selection: seconds[selection.key])
    dense_by_triton = engine == "chunked" and merged.uses_triton(Factors(diagonals, circulants, 1.0), x.dtype)
    return Selection(
        engine,
        choose_plan(
            tuple(c.shape for c in circulants),
            tuple(a.numel() for a in diagonals),
            tokens=x.shape[:-1].numel(),
            separate=separate,
            engine="chunked, dense by Triton" if dense_by_triton else engine,
            device=x.device.type,
        ),
    )


def selections(x: Tensor, circulants: Sequence[Tensor]) -> list[Selection]:
    """Every plan of every available engine; "merged", which uses no transforms, only once."""
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


def exclusion_reason(engine: str, x: Tensor, circulants: Sequence[Tensor]) -> str | None:
    """Why an engine is not chosen automatically; None where it may be."""
    reason: str | None = ENGINES[engine].unsupported_reason(x, circulants)
    if reason or is_allowed(engine, x.device):
        return reason
    if requested_engines() is not None:
        return "CDVFT_ENGINE leaves it out"
    return "no record verifies it on this device; CDVFT_ENGINE=fused or backend='fused' asks for it"
