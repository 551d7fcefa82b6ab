"""The lab's targets: known kinds of matrices, a visitor's file or drawing, and a finished run's update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cdvft_app.data.drawing import read_drawing
from cdvft_app.errors import UserError
from cdvft_app.inspection import updates
from cdvft_app.inspection.sources import Source
from cdvft_app.public import intake
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
    ("What a run changed, ΔW", "run"),
    ("A drawing of mine", "drawing"),
    ("A file of mine", "file"),
)
OWN = ("run", "drawing", "file")
SIZES = (16, 32, 64, 128, 256)
NOTHING_DRAWN = "Draw something, or press one of the shapes beside the pad."


def run_choices(store: RunStore) -> list[tuple[str, str]]:
    """(title, id) of every run whose weight changes are kept."""
    return [(_title(source), source.id) for source in updates.list_sources(store)]


def layer_choices(store: RunStore, run_id: object) -> list[tuple[str, str]]:
    """(title, module) of the layers that a run changed; empty for a run that is not there."""
    try:
        found = updates.changed(updates.find(store, run_id))
    except UserError:
        return []
    return [(f"{layer.title}, {layer.d_out} × {layer.d_in}", layer.module) for layer in found]


def make(store: RunStore, request: Mapping[str, object]) -> tuple[Any, str]:
    """Return the requested matrix, and a sentence about it.

    `request` is untrusted: target and n, and what the target needs: path, drawing, or run and module.

    Raises:
        ValueError: with what is wrong, and what would go.
    """
    from cdvft_app.approximate import TARGETS as KNOWN
    from cdvft_app.approximate import make_target

    target, n = request.get("target"), request.get("n")
    if isinstance(n, bool) or n not in SIZES:
        raise ValueError(f"n is {str(n)[:20]!r}; choose one of {', '.join(map(str, SIZES))}.")
    assert isinstance(n, int)
    if target == "file":
        import torch

        from cdvft_app.lessons.uploads import matrix_as_lists

        path = request.get("path")
        if not isinstance(path, str) or not path:
            raise ValueError("No file was given. Choose one, or another target.")
        try:
            rows = intake.read_in_child(
                matrix_as_lists,
                path,
                n,
                limits=intake.child_limits(),
                imports=("PIL.Image",),
                refusals=(ValueError,),
            )
        except intake.TooMuch as error:
            raise ValueError(str(error)) from None
        return torch.tensor(rows, dtype=torch.float64), "This was your own file."
    if target == "drawing":
        import torch

        drawn = read_drawing(request.get("drawing"), NOTHING_DRAWN)
        return torch.from_numpy(drawn.astype("float64")), "This was your own drawing."
    if target == "run":
        try:
            source = updates.find(store, request.get("run"))
            return _corner(source, request.get("module"), n)
        except UserError as error:
            raise ValueError(str(error)) from None
    if not isinstance(target, str) or target not in KNOWN:
        raise ValueError(f"There is no target {str(target)[:40]!r}. Choose one from the list.")
    return make_target(target, n), f"The target: {KNOWN[target].description}"


def _corner(source: Source, module: object, n: int) -> tuple[Any, str]:
    """Return the first rows and columns of a weight change: unlike pooling, this keeps single entries."""
    change, layer = updates.weight_change(source, module)
    side = min(n, layer.d_out, layer.d_in)
    by = "full fine-tuning" if source.settings.method.key == "full" else source.label
    change_text = f"the {layer.d_out} × {layer.d_in} change that {by} made to {layer.title}"
    if side == layer.d_out == layer.d_in:
        return change, f"The target: {change_text}."
    cut = (
        f"The target: rows and columns 1 to {side} of {change_text}. "
        "It is a corner, and says nothing of the rest"
    )
    circular = source.settings.method.key in ("cdvft", "c3a")
    return change[:side, :side], f"{cut}; a corner of a circulant is no circulant." if circular else f"{cut}."


def _title(source: Source) -> str:
    name = source.facts().get("name")
    origin = "recorded" if source.facts()["recorded"] else None
    return " · ".join(filter(None, [name, source.label, origin]))
