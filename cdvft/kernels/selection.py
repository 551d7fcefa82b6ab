"""Which engine serves a layer, and which way: the fastest measured on this machine, else by `rule`."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Literal, NamedTuple

from torch import Tensor

from cdvft.circulant import Factors
from cdvft.kernels import chunked, fused, merged, native, timings
from cdvft.kernels.engine_choice import may_serve, named
from cdvft.kernels.rule import WAYS, Plan, choose

ENGINES: dict[str, ModuleType] = {"native": native, "fused": fused, "chunked": chunked}
"""What carries out the transforms, the faster before the slower."""


class Selection(NamedTuple):
    """An engine by its name, and which passes go through a dense update in its place."""

    engine: str
    plan: Plan

    @property
    def transforms(self) -> ModuleType:
        """The module of the engine."""
        return ENGINES[self.engine]

    @property
    def key(self) -> str:
        """As `timings` spells it: "engine, way"."""
        return f"{self.engine}, {next(way for way, plan in WAYS.items() if plan == self.plan)}"


def select(
    x: Tensor,
    diagonals: Sequence[Tensor],
    circulants: Sequence[Tensor],
    *,
    apart: bool,
    backend: Literal["auto", "fft", "fused", "merged"],
) -> Selection:
    """What "auto" chooses, or how another backend is carried out.

    Args:
        x: (..., d_in)
        diagonals, circulants: the vectors, in the dtype of the arithmetic
        apart: whether the update is applied by itself
    """
    if backend == "fused" and fused.supports(x, circulants):
        return Selection("fused", WAYS["transforms"])
    engine = engines(x, circulants)[0]
    if backend != "auto":
        return Selection(engine, WAYS["merged" if backend == "merged" else "transforms"])
    found = timings.measured(timings.case_of(x, diagonals, circulants, apart=apart), x.device)
    possible = [s for s in selections(x, circulants) if s.key in found] if found else []
    if found and possible:
        return min(possible, key=lambda selection: found[selection.key])
    by_kernels = engine == "chunked" and merged.is_by_kernels(Factors(diagonals, circulants, 1.0), x.dtype)
    return Selection(
        engine,
        choose(
            tuple(c.shape for c in circulants),
            tuple(a.numel() for a in diagonals),
            tokens=x.shape[:-1].numel(),
            apart=apart,
            engine="chunked, dense by kernels" if by_kernels else engine,
            device=x.device.type,
        ),
    )


def selections(x: Tensor, circulants: Sequence[Tensor]) -> list[Selection]:
    """Every way of every engine that can serve the layer; the one that needs no transforms, once."""
    names = engines(x, circulants)
    ways = [Selection(name, plan) for name in names for way, plan in WAYS.items() if way != "merged"]
    return [*ways, Selection(names[0], WAYS["merged"])]


def engines(x: Tensor, circulants: Sequence[Tensor]) -> list[str]:
    """Those that may and can serve the layer, the faster first; torch's own transforms take everything."""
    able = [
        name
        for name, module in ENGINES.items()
        if may_serve(name, x.device) and (name == "chunked" or module.supports(x, circulants))
    ]
    return able or ["chunked"]


def why_not(engine: str, x: Tensor, circulants: Sequence[Tensor]) -> str | None:
    """Why an engine does not serve by itself; None where it may."""
    why: str | None = ENGINES[engine].obstacle(x, circulants)
    if why or may_serve(engine, x.device):
        return why
    if named() is not None:
        return "CDVFT_ENGINE leaves it out"
    return "no record proves it on this device; CDVFT_ENGINE=fused or backend='fused' asks for it"
