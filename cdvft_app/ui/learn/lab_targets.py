"""The lab's targets: known kinds of matrices, and a finished run's weight update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cdvft_app.errors import UserError
from cdvft_app.inspection import updates
from cdvft_app.inspection.sources import Source
from cdvft_app.store.runs import RunStore

TARGETS = (
    ("Random", "gaussian"),
    ("Low rank", "low_rank"),
    ("Circulant", "circulant"),
    ("Diagonal times circulant", "diagonal_circulant"),
    ("Toeplitz", "toeplitz"),
    ("Permutation", "permutation"),
    ("Real Fourier transform", "hartley"),
    ("Smooth kernel", "smooth_kernel"),
    ("Sparse", "sparse"),
    ("Lower triangle of ones", "lower_triangular"),
    ("ΔW of a run", "run"),
)
SIZES = (16, 32, 64, 128, 256)


def run_choices(store: RunStore) -> list[tuple[str, str]]:
    """Return (title, id) of each run with a saved weight update."""
    return [(_title(source), source.id) for source in updates.list_sources(store)]


def layer_choices(store: RunStore, run_id: object) -> list[tuple[str, str]]:
    """Return (title, module) of the layers that a run adapted; empty for an unknown run."""
    try:
        found = updates.changed(updates.find(store, run_id))
    except UserError:
        return []
    return [(f"{layer.title}, {layer.d_out} × {layer.d_in}", layer.module) for layer in found]


def make(store: RunStore, request: Mapping[str, object]) -> tuple[Any, str]:
    """Return the requested matrix, and a sentence about it.

    Args:
        request: untrusted: target and n, and for a run its id and the module.

    Raises:
        ValueError: The request names no target, size, run, or layer.
    """
    from cdvft_app.approximate import TARGETS as KNOWN
    from cdvft_app.approximate import make_target

    target, n = request.get("target"), request.get("n")
    if isinstance(n, bool) or n not in SIZES:
        raise ValueError(f"n is {str(n)[:20]!r}. Choose one of {', '.join(map(str, SIZES))}.")
    assert isinstance(n, int)
    if target == "run":
        try:
            source = updates.find(store, request.get("run"))
            return _corner(source, request.get("module"), n)
        except UserError as error:
            raise ValueError(str(error)) from None
    if not isinstance(target, str) or target not in KNOWN:
        raise ValueError(f"Target {str(target)[:40]!r} not found. Choose one from the list.")
    return make_target(target, n), f"Target: {KNOWN[target].description}"


def _corner(source: Source, module: object, n: int) -> tuple[Any, str]:
    """Return the first rows and columns of a weight update. Unlike pooling, this keeps single entries."""
    change, layer = updates.weight_change(source, module)
    side = min(n, layer.d_out, layer.d_in)
    by = "full fine-tuning" if source.settings.method.key == "full" else source.label
    update = f"Target: the {layer.d_out} × {layer.d_in} update of {layer.title} by {by}"
    if side == layer.d_out == layer.d_in:
        return change, f"{update}."
    return change[:side, :side], f"{update}, rows and columns 1 to {side}."


def _title(source: Source) -> str:
    name = source.facts().get("name")
    origin = "recorded" if source.facts()["recorded"] else None
    return " · ".join(filter(None, [name, source.label, origin]))
