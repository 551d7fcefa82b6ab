"""Functions around private names of torch, which any release may remove."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils._python_dispatch import is_in_torch_dispatch_mode


def is_watched() -> bool:
    """Return whether torch.compile or a dispatch mode, such as a FLOP counter or fake tensors, is active.

    They see registered operators only, and would miss a call of compiled code. torch.utils has no public
    function for this.
    """
    return torch.compiler.is_compiling() or is_in_torch_dispatch_mode()


def is_traced() -> bool:
    """Return whether torch.jit traces: `torch.jit.is_tracing` cannot be compiled."""
    return torch._C._is_tracing()


def is_transformed() -> bool:
    """Return whether torch compiles, traces, vmaps or uses forward-mode AD: only its own operations can."""
    return (
        torch.compiler.is_compiling()
        or is_traced()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or forward_ad._current_level >= 0
    )


def is_batched(tensor: Tensor) -> bool:
    """Return whether it is a batch under `is_grads_batched` or `torch.vmap`: it has no memory of its own."""
    functorch: Any = torch._C._functorch
    return functorch.is_batchedtensor(tensor) or functorch.is_legacy_batchedtensor(tensor)


def is_in_backward() -> bool:
    """Return whether a backward pass runs, in which a checkpoint must repeat what its forward pass did."""
    return torch._C._current_graph_task_id() != -1


def unsafe_view(y: Tensor, shape: list[int]) -> Tensor:
    """Return a new tensor in another shape, which to autograd is no view, so that it can be written to."""
    return torch.ops.aten._unsafe_view(y, shape)


def cuda_driver() -> int:
    """Return the version of the CUDA driver, which only builds for CUDA can tell."""
    built: Any = torch._C
    return built._cuda_getDriverVersion()


def hooks_of(module: nn.Module) -> tuple[Sized, ...]:
    """Return the containers of its hooks."""
    return (
        module._forward_hooks,
        module._forward_pre_hooks,
        module._backward_hooks,
        module._backward_pre_hooks,
    )


def has_hooks(hooks: tuple[Sized, ...]) -> bool:
    """Return whether a module with these hooks does more than its `forward` when it is called."""
    return any(hooks) or nn.modules.module._has_any_global_hook()


def parameters_of(module: nn.Module) -> Mapping[str, nn.Parameter | None]:
    """Return the container of its own parameters, by name."""
    return module._parameters
