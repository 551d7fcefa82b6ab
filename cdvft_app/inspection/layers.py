"""The layers that a snapshot holds, with short names, and their vectors as the page receives them."""

from __future__ import annotations

import base64
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import cast

import numpy as np

from cdvft.blocks import matches
from cdvft_app import catalog
from cdvft_app.inspection.sources import Source, Unavailable, every_nth
from cdvft_app.payloads.factors import KeptVectors, Module, Vector
from cdvft_app.settings import RunSettings

MAX_BYTES = 2 * 2**20
"""Of one layer's vectors over all steps in one answer; beyond it every n-th snapshot is left out."""


@dataclass(frozen=True)
class Layer:
    """A module: `depth` is its block's number (None outside blocks), `kind` its short name in the block."""

    module: str
    depth: int | None
    kind: str
    d_out: int
    d_in: int


def layers(source: Source) -> list[Layer]:
    """Return the layers of a run's snapshots, by depth, those of one block in the order of their names."""
    vectors: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    for key, vector in source.read(source.steps()[-1]).items():
        module, _, name = key.rpartition("/")
        vectors[module][name] = vector
    return [
        Layer(module, depth, kind, *shape(source.settings, module, vectors[module]))
        for module, (depth, kind) in block_positions(vectors).items()
    ]


def block_positions(modules: Iterable[str]) -> dict[str, tuple[int | None, str]]:
    """Return (number of its block, short name in it) of every module, in the model's order."""
    ordered = sorted(modules, key=natural_order)
    kinds = short_names([_split(module)[1] for module in ordered])
    return {module: (_split(module)[0], kinds[_split(module)[1]]) for module in ordered}


def find_layer(source: Source, module: object) -> Layer:
    """Return the layer of that name; the name is compared with the snapshot's own and used for nothing else.

    Raises:
        Unavailable: the snapshots have no such layer.
    """
    for layer in layers(source):
        if layer.module == module:
            return layer
    raise Unavailable(f"This run has no layer {str(module)[:80]!r}.")


def most_changed(norms: Mapping[str, float], weights: Mapping[str, float]) -> str:
    """Return the module with the largest norm, relative to its weights' norm where those of all are known."""
    relative = all(weights.get(module) for module in norms)
    return max(norms, key=lambda module: norms[module] / weights[module] if relative else norms[module])


def natural_order(name: str) -> list[tuple[bool, int, str]]:
    """Return a key that sorts numbers inside names by value."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)]


def shape(settings: RunSettings, module: str, vectors: Mapping[str, np.ndarray]) -> tuple[int, int]:
    """Return (d_out, d_in) of a layer: from its vectors, else from the catalogue.

    Raises:
        Unavailable: neither has it, or the catalogue has layers of several sizes by that name.
    """
    found = settings.method.size(vectors)
    if found:
        return found
    groups = [one for one in catalog.resolve(settings).target_shapes if matches(module, one[0])]
    longest = max((len(name) for name, *_ in groups), default=0)  # the one that says most of where it is
    sizes = {(d_out, d_in) for name, d_out, d_in, _ in groups if len(name) == longest}
    if len(sizes) == 1:
        return sizes.pop()
    raise Unavailable(f"The size of {module} is known neither from its vectors nor from the catalogue.")


def payload(
    source: Source,
    layer: Layer,
    read: Callable[[int], Mapping[str, np.ndarray]] | None = None,
) -> KeptVectors:
    """Return a layer's vectors over the snapshots: {"steps", "vectors": {name: {"shape", "type", "data"}},
    "bytes"}.

    `data` is base64 of little-endian float32, or int32 for FourierFT's frequencies, (steps, *shape). Vectors
    that never change are sent once, as (1, *shape). `read` replaces a step's vectors by other arrays.
    """
    method = source.settings.method
    kept = list(source.steps())
    own = source.read(kept[-1], layer.module)
    trained = sum(array.size for name, array in own.items() if name not in method.fixed_vectors)
    read = read or (lambda step: source.read(step, layer.module))
    bytes_per_step = sum(array.nbytes for array in read(kept[-1]).values())
    kept = every_nth(kept, -(-bytes_per_step * len(kept) // MAX_BYTES))
    snapshots = [read(step) for step in kept]
    vectors: dict[str, Vector] = {}
    for name in snapshots[-1]:
        fixed = name in method.fixed_vectors
        stack = np.stack([found[name] for found in (snapshots[-1:] if fixed else snapshots)])
        stack = stack.astype("<i4" if fixed else "<f4")
        vectors[name] = {
            "shape": list(stack.shape[1:]),
            "type": "int32" if fixed else "float32",
            "data": base64.b64encode(stack.tobytes()).decode(),
        }
    return {
        **cast(Module, asdict(layer)),
        "steps": kept,
        "vectors": vectors,
        "trained": trained,
        "bytes": sum(len(vector["data"]) for vector in vectors.values()),
    }


def _split(module: str) -> tuple[int | None, str]:
    """Return the number of the block and the rest of the name: "encoder.layer.3.output.dense" -> (3,
    "output.dense")."""
    parts = module.split(".")
    numbers = [index for index, part in enumerate(parts) if part.isdigit()]
    if not numbers:
        return None, module
    return int(parts[numbers[0]]), ".".join(parts[numbers[0] + 1 :]) or module


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return the shortest common number of last parts of dotted names by which they all still differ."""
    every = dict.fromkeys(names)
    for count in range(1, 9):
        short = {name: ".".join(name.split(".")[-count:]) for name in every}
        if len(set(short.values())) == len(short):
            return short
    return {name: name for name in every}
