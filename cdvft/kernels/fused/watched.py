"""Whether somebody follows what torch does, and would miss a kernel that it does not know."""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import is_in_torch_dispatch_mode


def is_watched() -> bool:
    """Whether a compiler, FLOP counter or fake tensors watch, which see registered operators alone."""
    return torch.compiler.is_compiling() or is_in_torch_dispatch_mode()
