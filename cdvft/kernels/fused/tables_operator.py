"""The tables of a transform, where torch runs and where a compiler traces.

Traced, an operator stands for them: worked out there, they would be kept as tensors without values, and every
later call given those; kept from before, they would be no part of the trace.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from cdvft.kernels.fused import cube_shape, tables
from cdvft.kernels.fused.cube_shape import CUBE, Cube
from cdvft.kernels.fused.plan import Plan, plan_for


def tables_for(shape: Plan | Cube, like: Tensor) -> Tensor:
    """The tables of this shape, where a tensor of float32 lies."""
    if is_in_torch_dispatch_mode():
        return transform_tables(like, shape.width, isinstance(shape, Cube))
    return _kept(shape, like.device)


@torch.library.custom_op("cdvft::transform_tables", mutates_args=())
def transform_tables(like: Tensor, width: int, cube: bool) -> Tensor:
    """`tables_for` as an operator of torch; a copy, for compilers reuse memory that they need no more."""
    return _kept(_shape(width, cube), like.device).clone()


@transform_tables.register_fake
def _entries(like: Tensor, width: int, cube: bool) -> Tensor:
    return like.new_empty(_shape(width, cube).table_entries)


def _kept(shape: Plan | Cube, device: torch.device) -> Tensor:
    return cube_shape.tables(device) if isinstance(shape, Cube) else tables.tables(shape, device)


def _shape(width: int, cube: bool) -> Plan | Cube:
    plan = CUBE if cube else plan_for(width)
    assert plan is not None
    return plan
