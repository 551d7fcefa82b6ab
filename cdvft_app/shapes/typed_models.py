"""A model that was typed in, as an entry of the catalogue: what its configuration alone says of it."""

from __future__ import annotations

import dataclasses
import math

from cdvft.cost import Shape
from cdvft_app import catalog
from cdvft_app.catalog import typed
from cdvft_app.catalog.entries import POOLING, Kind, LinearGroup, ModelEntry
from cdvft_app.shapes import ModelShapes, model_shapes
from cdvft_app.shapes.model_shapes import NotPlain, grouped

RGB = 3


def described(key: str, kind: Kind) -> ModelEntry:
    """The entry with its layers, usual targets and size, which the catalogue knows from now on.

    Raises:
        InvalidChoice: it cannot be typed in, leads nowhere, or is not supported; says why.
    """
    entry = typed.model(key, kind)
    if entry.layers:
        return entry
    try:
        shapes = model_shapes(entry.location)
    except NotPlain as error:
        if error.architecture is None:
            raise
        entry = _of_timm(entry, error.architecture)
        typed.remember(kind, entry)
        return entry
    # What writes can also be read by a head.
    fitting: Kind = "text" if (shapes.kind, kind) == ("generation", "text") else shapes.kind
    entry = dataclasses.replace(
        entry,
        kind=fitting,
        pooling=POOLING[fitting],
        layers=groups(shapes),
        default_targets=shapes.default_targets,
        hidden_size=shapes.hidden_size,
        parameters=shapes.total_parameters,
        max_length=shapes.longest,
        patch_size=_patch(shapes.convolutions),
    )
    typed.remember(kind, entry)
    return entry


def describe_typed(model: str | None, recipe: str) -> None:
    """Let the catalogue know a model that was typed in for a recipe, so that its usual layers can be taken.

    Raises:
        InvalidChoice: as `described`.
    """
    known = catalog.recipes().get(recipe)
    if known is not None and model and model not in catalog.models():
        described(model, known.kind)


def groups(shapes: ModelShapes) -> tuple[LinearGroup, ...]:
    """Layers of one name within their blocks and of one shape together; a writer's output layer apart."""
    inner = [shape for shape in shapes.layers if shape.name != shapes.output_layer]
    return grouped((shape.name, shape.d_out, shape.d_in) for shape in inner)


def _of_timm(entry: ModelEntry, architecture: str) -> ModelEntry:
    from cdvft_app.shapes.timm_layers import timm_entry  # it loads torch

    return timm_entry(entry, architecture)


def _patch(convolutions: tuple[Shape, ...]) -> int | None:
    """The side of a patch, of which the one convolution makes a token."""
    return math.isqrt(convolutions[0].d_in // RGB) if convolutions else None
