"""Layers that are given one tensor in turn, such as query, key and value: on a GPU the first serves all.

It works out every layer's output in few launches (`cdvft.kernels.group`), and the others take theirs when
called. Which layers these are is seen in a pass, in which each serves itself, not read from the model's
structure. A layer takes an output only if it is called with that very tensor, and is itself as it was; where
it is not called so twice in a row, it is left out from then on. The outputs are those that each layer gives
by itself, but for rounding.
"""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cdvft.kernels.group import Member, adapted_linears, can_serve, has_begun
from cdvft.kernels.linear import is_transformed
from cdvft.short_way import hooks_of, is_plain, is_watched

DEVICES: tuple[str, ...] = ("cuda",)
"""Types of devices where launches are worth saving."""
MOST = 4
"""Layers served at once: their gradients wait for one another. A decoder's keys and values of what an encoder
read may be all of one tensor."""


MISSES = 2
"""Passes in a row after which a layer is left out: one may have been interrupted."""


class SharedInput:
    """What a layer knows of those that are given its input after it, and the output that it was handed."""

    def __init__(self) -> None:
        self.others: list[weakref.ref[Any]] = []
        self.misses: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self.handed: list[tuple[weakref.ref[Any], _Output]] = []
        self.own: _Output | None = None

    def __reduce__(self) -> Any:
        """As new in a copy of the layer and in its pickle: the others are those of this one's model."""
        return SharedInput, ()

    def output(self, layer: Any, x: Tensor) -> Tensor | None:
        """(W + alpha dW) x + b; None where the layer is to work it out by itself."""
        if x.device.type not in DEVICES or is_transformed():
            return None
        given, self.own = self.own, None
        member = _member(layer) if _is_worth_it(x) else None
        y = None if given is None else given.taken(x, member)
        if y is not None or member is None:
            return y
        self._leave_out()
        found = ((one, _member(one)) for ref in self.others if (one := ref()) is not None)
        fit = ((one, its) for one, its in found if its and its.goes_with(member) and can_serve(x, its))
        others = list(islice(fit, MOST - 1))
        if not others or not can_serve(x, member):
            _see(layer, x)
            return None
        y, *outputs = adapted_linears(x, [member, *(its for _, its in others)])
        for (one, its), of_one in zip(others, outputs, strict=True):
            one.shared_input.own = handed = _Output(x, its, of_one)
            self.handed.append((weakref.ref(one), handed))
        return y

    def join(self, layer: Any) -> None:
        """Serve this layer, too, from the next pass on, unless it did not take what was worked out for it."""
        if self.misses.get(layer, 0) < MISSES and all(ref() is not layer for ref in self.others):
            self.others.append(weakref.ref(layer))

    def _leave_out(self) -> None:
        """Those that did not take what the last passes worked out for them."""
        for ref, handed in self.handed:
            if (one := ref()) is not None:
                self.misses[one] = 0 if handed.is_taken else self.misses.get(one, 0) + 1
            handed.drop()
        self.handed = []
        there = ((ref, ref()) for ref in self.others)
        self.others = [ref for ref, one in there if one is not None and self.misses.get(one, 0) < MISSES]


class _Output:
    """An output, for one layer to take once."""

    def __init__(self, x: Tensor, member: Member, y: Tensor) -> None:
        self._given: tuple[Tensor, Member, Tensor] | None = x, member, y  # held: no other has their identity
        self._state = _state(x, member)
        self.is_taken = False

    def drop(self) -> None:
        """Hold it no longer, for its graph is that of a whole pass."""
        self._given = None

    def taken(self, x: Tensor, member: Member | None) -> Tensor | None:
        """The output, if it is that of this input and of the layer as it is; otherwise dropped.

        After a backward pass it is not: an optimizer may have stepped, which torch's counters need not show.
        """
        given, self._given = self._given, None
        if given is None or member is None or _state(x, member) != self._state or has_begun(given[-1]):
            return None
        self.is_taken = True
        return given[-1]


def _state(x: Tensor, member: Member) -> tuple[object, ...]:
    """What the output depends on: tensors, where they lie, their writes, if they train; settings; stream."""
    weight, bias, (diagonals, circulants, alpha), backend = member
    tensors = (x, weight, *diagonals, *circulants, *(() if bias is None else (bias,)))
    kind = x.device.type
    autocast = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
    stream = torch._C._cuda_getCurrentRawStream(x.get_device()) if x.is_cuda else None
    values = ((id(t), t.data_ptr(), t._version, t.requires_grad) for t in tensors)
    return (*values, alpha, backend, autocast, stream)


def _member(layer: Any) -> Member | None:
    """What the layer now applies to its input, if that is W x + b and one update, and nobody watches."""
    terms, base = layer.active_terms(), layer.base_layer
    if len(terms) != 1 or layer.weight_is_transposed or layer.drops(terms):
        return None
    if not is_plain(base) or is_watched(hooks_of(layer)) or "forward" in vars(layer):
        return None
    adapter, share = terms[0]
    return Member(base.weight, base.bias, layer.factors(adapter, share), layer.cdvft_backend[adapter])


def _is_worth_it(x: Tensor) -> bool:
    """Whether this is a pass in training, and none that is to be done exactly as another was.

    That is what a checkpoint asks of the pass that it repeats: it counts what either saves for backward.
    """
    return (
        torch.is_grad_enabled()
        and not x.is_inference()
        and torch._C._autograd._top_saved_tensors_default_hooks(False) is None
        and torch._C._current_graph_task_id() == -1
    )


class _Seen(NamedTuple):
    """An input, how often it had been written to, and the layers that were given it."""

    x: weakref.ref[Tensor]
    version: int
    refs: list[weakref.ref[Any]]

    def layers(self) -> list[Any]:
        """Those that are still there."""
        return [one for ref in self.refs if (one := ref()) is not None]


_last: ContextVar[_Seen | None] = ContextVar("_last", default=None)
"""In each thread."""


def _see(layer: Any, x: Tensor) -> None:
    """Note the layer with the first one that was given this tensor, or as that first one."""
    seen = _last.get()
    layers = seen.layers() if seen is not None and seen.x() is x and seen.version == x._version else []
    if seen is None or not layers or layer in layers:  # called again with the same tensor, it begins anew
        seen = _Seen(weakref.ref(x), x._version, [])
        _last.set(seen)
    else:
        layers[0].shared_input.join(layer)
    seen.refs.append(weakref.ref(layer))
