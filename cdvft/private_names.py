"""The private names of torch, transformers and PEFT that the library uses, each with the reason.

Any release may remove a name: `tests/cdvft/test_private_names.py` tells which one is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

NAMES = {
    "torch:Tensor._version": "a measured ratio is valid until a tensor is written to",
    "torch.nn:Module._parameters": "a look-up faster than ParameterList's, in calls of microseconds",
    "torch.nn:Module._modules": "a look-up of a layer's base, faster than by attribute",
    "transformers:GenerationMixin._expand_inputs_for_generation": "where `generate` repeats its inputs",
    "transformers:PreTrainedModel._init_weights": "how a head that no file has is initialized",
    "transformers:PreTrainedModel._is_hf_initialized": "weights that are there are not initialized again",
    "transformers:PreTrainedModel._supports_sdpa": "a model says which attention it supports",
    "peft.tuners.tuners_utils:BaseTuner._prepare_adapter_config": "default targets of architectures",
    "peft.tuners.tuners_utils:BaseTuner._create_and_replace": "what a tuner is made of",
    "peft.tuners.tuners_utils:BaseTuner._replace_module": "a module of experts is unwrapped unchanged",
    "peft.tuners.tuners_utils:BaseTuner._cast_adapter_dtype": "vectors stay float32",
    "peft.tuners.tuners_utils:BaseTuner._check_merge_allowed": "what cannot be merged is refused",
    "peft.tuners.tuners_utils:BaseTuner._add_modules_to_save_to_tie": "tied heads are refused in a sentence",
    "peft.tuners.tuners_utils:BaseTuner._add_targets_to_tie": "so are tied targets",
    "peft.tuners.tuners_utils:BaseTuner._get_adapter_state_dict": "a sum is saved without vectors",
    "peft.tuners.tuners_utils:BaseTuner._remap_adapter_state_dict_for_load": "and loaded without them",
    "peft.tuners.tuners_utils:BaseTuner._unload_and_optionally_merge": "a merge warns of its error once",
    "peft.tuners.tuners_utils:BaseTunerLayer._move_adapter_to_device_of_base_layer": "vectors stay float32",
    "peft.tuners.tuners_utils:BaseTunerLayer._active_adapter": "read for every token: the property is slow",
    "peft.tuners.tuners_utils:BaseTunerLayer._disable_adapters": "read for every token, too",
    "peft.tuners.lora:LoraModel._enable_peft_forward_hooks": "PeftModel calls it with `adapter_names`",
    "peft.utils.other:AuxiliaryTrainingWrapper._get_available_adapters": "which adapters have a trained head",
}
"""Attributes that are read and methods that are called or overridden elsewhere, as "module:path".

All other private names are used in the functions below alone.
"""


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
