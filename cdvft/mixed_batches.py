"""Mixed batches: PEFT's `adapter_names`, which name an adapter for each row, and how layers get them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn

from cdvft.layer import BASE_ONLY, CDVFTLayer

_EXPAND = "_expand_inputs_for_generation"
"""The method by which `generate` of transformers repeats its inputs."""
_call: ContextVar[object] = ContextVar("cdvft_call", default=None)
"""The current call in this thread: other threads may call the hooked modules at the same time."""
_locks = WeakKeyDictionary[nn.Module, Any]()
"""One per model. Calls with names are serialized: one would undo what another changed."""


@contextmanager
def route_adapter_names(tuner: nn.Module, names: Sequence[str]) -> Iterator[None]:
    """Pass the names to every adapted layer and trained head during one forward or generate call.

    Where `generate` repeats each input, for beams or several returned sequences, the names are repeated when
    it does so: the number may come from its arguments or from configurations. An encoder gets them
    unrepeated. Calls with names from several threads run one after another, calls without names beside them.
    """
    call = object()
    model: Any = tuner.model
    encoder = model.get_encoder() if _has_encoder(model) else None
    unrepeated = set(encoder.modules()) if encoder not in (None, model) else set()
    repeated = list(names)
    with _locks.setdefault(tuner, RLock()), ExitStack() as handles:
        handles.callback(_call.reset, _call.set(call))
        for module in _modules(model):
            if isinstance(module, (CDVFTLayer, AuxiliaryTrainingWrapper)):
                own = names if module in unrepeated else repeated
                hook = partial(_pass_adapter_names, names=own, call=call)
                handles.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
            elif hasattr(type(module), _EXPAND):
                handles.enter_context(_track_expansion(module, names, repeated, call))
        yield


@contextmanager
def _track_expansion(
    generator: Any, names: Sequence[str], repeated: list[str], call: object
) -> Iterator[None]:
    """Repeat the names in `repeated` whenever `generate` repeats its inputs."""
    expand, own = getattr(generator, _EXPAND), vars(generator).get(_EXPAND)

    def expand_both(expand_size: int = 1, *args: Any, **kwargs: Any) -> Any:
        if _call.get() is call:
            repeated[:] = [name for name in names for _ in range(expand_size)]
        return expand(expand_size, *args, **kwargs)

    setattr(generator, _EXPAND, expand_both)
    try:
        yield
    finally:
        if own is None:
            delattr(generator, _EXPAND)
        else:
            setattr(generator, _EXPAND, own)


def check_adapter_names(tuner: Any, names: Sequence[str]) -> None:
    """Check the names of one call.

    Raises:
        ValueError: They are not a list of names, an adapter is unknown, or the model is in training mode.
    """
    if tuner.training:
        raise ValueError(
            "Cannot pass `adapter_names` when the model is in training mode. Call .eval() first."
        )
    known = f"Use any of {sorted(tuner.peft_config)}, or {BASE_ONLY!r} for the base model."
    listed = isinstance(names, Sequence) and all(isinstance(name, str) for name in names)
    if isinstance(names, str) or not listed:
        raise ValueError(f"adapter_names is {names!r}, but it must be a list of names. {known}")
    unknown = sorted(set(names) - set(tuner.peft_config) - {BASE_ONLY})
    if unknown:
        raise ValueError(f"Trying to infer with non-existing adapter(s): {', '.join(unknown)}. {known}")


def _has_encoder(model: Any) -> bool:
    config = getattr(model, "config", None)
    return getattr(config, "is_encoder_decoder", False) and hasattr(model, "get_encoder")


def _modules(model: nn.Module) -> Iterator[nn.Module]:
    """All modules, without iterating over the vectors of thousands of adapters."""
    stack, seen = [model], set()
    while stack:
        module = stack.pop()
        if module in seen:
            continue
        seen.add(module)
        yield module
        stack.extend([module.base_layer] if isinstance(module, CDVFTLayer) else module.children())


def _pass_adapter_names(
    module: nn.Module, args: Any, kwargs: dict[str, Any], names: Sequence[str], call: object
) -> tuple[Any, dict[str, Any]] | None:
    if _call.get() is not call:
        return None
    if isinstance(module, AuxiliaryTrainingWrapper):
        # An adapter without a head of its own uses the model's.
        own = module._get_available_adapters()
        names = [name if name in own else BASE_ONLY for name in names]
    return args, {**kwargs, "adapter_names": names}
