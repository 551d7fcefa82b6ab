"""Norms, singular values and changes of a run's weight updates, at its snapshots.

Formulas are those of cdvft.factors; each method builds its own update.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from cdvft import factors as formulas
from cdvft_app.inspection import frozen
from cdvft_app.inspection.layers import Layer, layers, payload
from cdvft_app.inspection.sources import Source
from cdvft_app.methods.cdvft import Cdvft
from cdvft_app.payloads.factors import KeptVectors, LayerNumbers, NoSingularValues, Overview, SingularValues

Item = TypeVar("Item")
Result = TypeVar("Result")
MAX_ENTRIES = 2**28
"""Of all updates that are built for norms at every step; where there are more, the last step's only."""


def update(source: Source, layer: Layer, step: int) -> Tensor:
    """W' - W of one layer at a snapshot, (d_out, d_in).

    Raises:
        Unavailable: the method needs the pretrained weight, and the model is not on this machine.
        TooManyRequests: others use the pretrained model.
    """
    vectors = tensors(source.read(step, layer.module))
    return source.settings.method.update(
        layer.d_out, layer.d_in, vectors, lambda: frozen.weight(source, layer.module)
    )


def dense_payload(source: Source, layer: Layer) -> KeptVectors:
    """Return what `layers.payload` does, with whole updates in place of the vectors, of fewer snapshots."""
    return payload(source, layer, read=lambda step: {"update": update(source, layer, step).numpy()})


def tensors(vectors: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in vectors.items()}


def singular(source: Source, layer: Layer) -> SingularValues | NoSingularValues:
    """Return {"steps", "count", "values", "effective_rank", "norm"} of the update, by snapshot.

    `values` is base64 of its singular values in float32 (steps, count), in descending order. For layers that
    are too large, or whose update is not finite, there is {"reason"} instead.
    """
    if min(layer.d_out, layer.d_in) > formulas.LARGEST_SIDE:
        return {
            "reason": "Singular values are computed for layers with a side of up to "
            f"{formulas.LARGEST_SIDE}; for {layer.d_out} x {layer.d_in} they take too long to wait for."
        }
    steps = source.steps()
    norms = [_norm(_CacheKey(source, step, layer)) for step in steps]
    if not np.isfinite(norms).all():
        return {"reason": "The update holds NaN or infinity and has no singular values: training diverged."}
    values = np.stack([_singular_values(_CacheKey(source, step, layer)) for step in steps])
    return {
        "steps": steps,
        "count": values.shape[1],
        "values": base64.b64encode(values.astype("<f4").tobytes()).decode(),
        "effective_rank": [formulas.effective_rank(torch.from_numpy(row)) for row in values],
        "norm": norms,
    }


def last_norms(source: Source, seconds: float = 0.5) -> dict[str, float]:
    """Return the Frobenius norm of the update after the last step by module, for as many as `seconds`
    allow."""
    step = source.steps()[-1]
    return dict(
        computed_within(
            seconds, layers(source), lambda layer: (layer.module, _norm(_CacheKey(source, step, layer)))
        )
    )


def computed_within(seconds: float, items: Iterable[Item], compute: Callable[[Item], Result]) -> list[Result]:
    """Return the results for the first items: for as many as so many seconds allow, and at least one."""
    deadline, found = time.monotonic() + seconds, []
    for item in items:
        found.append(compute(item))
        if time.monotonic() > deadline:
            break
    return found


def overview(source: Source, first: int = 0, seconds: float = 1.5) -> Overview:
    """Return how far the layers from index `first` on changed, for as many as `seconds` allow, at least one.

    {"layers": [{"module", "steps", "norm", "moved", "effective_rank"}], "next": index or None}: Frobenius
    norms of the update by step (None where not computed), root mean squares of each vector's change since
    the first snapshot by step (CDVFT only), and the effective rank after the last.
    """
    every = layers(source)
    all_norms = _entries(every) * len(source.steps()) <= MAX_ENTRIES
    found = computed_within(seconds, every[first:], lambda one: numbers(source, one, all_norms=all_norms))
    after = first + len(found)
    return {"layers": found, "next": after if after < len(every) else None}


def numbers(source: Source, layer: Layer, *, all_norms: bool) -> LayerNumbers:
    """Return one layer's entry of an `overview`."""
    steps = source.steps()
    norms: list[float | None] = [None] * len(steps)
    moved: dict[str, list[float]] = {}
    start = source.read(steps[0], layer.module)
    for index, step in enumerate(steps):
        vectors = source.read(step, layer.module)
        if all_norms or step == steps[-1]:
            norms[index] = _norm(_CacheKey(source, step, layer))
        method = source.settings.method
        if isinstance(method, Cdvft):
            diagonals, circulants = formulas.factor_changes(
                method.factors(tensors(start)), method.factors(tensors(vectors))
            )
            for kind, changes in (("diagonal", diagonals), ("circulant", circulants)):
                for number, change in enumerate(changes):
                    moved.setdefault(f"{kind}.{number}", []).append(change)
    rank, last = None, _CacheKey(source, steps[-1], layer)
    if min(layer.d_out, layer.d_in) <= formulas.LARGEST_SIDE and math.isfinite(_norm(last)):
        rank = formulas.effective_rank(torch.from_numpy(_singular_values(last)))
    return {"module": layer.module, "steps": steps, "norm": norms, "moved": moved, "effective_rank": rank}


class _CacheKey:
    """A layer at a step as an `lru_cache` key: equal as long as its snapshot is not written anew."""

    def __init__(self, source: Source, step: int, layer: Layer) -> None:
        self.source, self.step, self.layer = source, step, layer
        self.identity = (source.id, layer.module, step, source.version(step))

    def __hash__(self) -> int:
        return hash(self.identity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _CacheKey) and other.identity == self.identity

    def update(self) -> Tensor:
        return update(self.source, self.layer, self.step)


@lru_cache(maxsize=4096)
def _singular_values(key: _CacheKey) -> np.ndarray:
    return formulas.singular_values(key.update()).numpy()


@lru_cache(maxsize=65536)
def _norm(key: _CacheKey) -> float:
    return float(torch.linalg.matrix_norm(key.update()))


def _entries(every: list[Layer]) -> int:
    return sum(layer.d_out * layer.d_in for layer in every)
