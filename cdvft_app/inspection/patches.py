"""What one layer of a run's vision transformer receives for each patch of an image."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import Tensor
from torchvision.transforms.v2 import functional as pictures

from cdvft_app import catalog
from cdvft_app.catalog.backbones import ImageBackbone
from cdvft_app.catalog.dataset_readers import load_rows
from cdvft_app.catalog.download import DownloadFailed, DownloadStopped
from cdvft_app.catalog.entries import DatasetEntry
from cdvft_app.inspection import frozen
from cdvft_app.inspection.examples import layer_inputs
from cdvft_app.inspection.sources import Source, Unavailable
from cdvft_app.payloads.factors import Images, LayerInputs
from cdvft_app.tasks.image import normalized, squared

MAX_IMAGES = 10


@dataclass(frozen=True)
class Example:
    """An image as the model gets it, before normalization: (3, size, size) uint8, and its class's name."""

    label: str
    pixels: Tensor


@dataclass(frozen=True)
class Grid:
    """How a model's tokens are ordered: `before` names those in front of the patches, which go row by row."""

    before: tuple[str, ...]
    rows: int
    columns: int

    @property
    def names(self) -> list[str]:
        places = [(row, column) for row in range(self.rows) for column in range(self.columns)]
        return [*self.before, *(f"row {row + 1}, column {column + 1}" for row, column in places)]


def images(source: Source) -> Images:
    """{"images": [{"label", "picture": a PNG as a data address}], "before", "rows", "columns"} for the page.

    Raises:
        Unavailable: this run has no patches, or its model or images are not on this machine; says why.
        Busy: others use the model.
    """
    with frozen.backbone(source) as loaded:
        grid = _grid(loaded)
    return {
        "images": [{"label": e.label, "picture": _png(e.pixels)} for e in _examples(source)],
        "before": grid.before,
        "rows": grid.rows,
        "columns": grid.columns,
    }


def inputs(source: Source, module: str, index: object) -> LayerInputs:
    """The vectors x that reach a module for one of `images` by its index, one for each token.

    Raises:
        Unavailable: there is no such image, or the layer does not work patch by patch; says why.
        Busy: others use the model.
    """
    with frozen.backbone(source) as loaded:
        grid, examples = _grid(loaded), _examples(source)
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(examples):
            raise Unavailable(f"There is no image {str(index)[:20]!r}; choose one of {len(examples)}.")
        assert isinstance(loaded, ImageBackbone)
        pixels = normalized(loaded.mean, loaded.std)(examples[index].pixels)
        x, y = frozen.run(loaded.model, [module], {"x": pixels[None]})[module]
    if x.dim() != 2 or len(x) != len(grid.names):
        raise Unavailable("This layer does not work patch by patch, so there is no single one to follow.")
    return layer_inputs(grid.names, x.numpy(), y.norm(dim=-1).tolist())


def _grid(loaded: object) -> Grid:
    model: Any = getattr(loaded, "model", None)
    sides = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    before = getattr(model, "num_prefix_tokens", None)
    if not isinstance(loaded, ImageBackbone) or sides is None or before is None:
        raise Unavailable("This run's model does not cut images into patches.")
    prefix = ["class token"] if getattr(model, "has_class_token", False) else []
    prefix += [f"register {number + 1}" for number in range(before - len(prefix))]
    return Grid(tuple(prefix), *sides)


def _examples(source: Source) -> tuple[Example, ...]:
    plan = catalog.resolve(source.settings)
    assert plan.settings.image_size is not None  # as every complete plan of an image model has it
    return _read(plan.dataset, plan.settings.image_size)


@lru_cache(maxsize=2)
def _read(dataset: DatasetEntry, size: int) -> tuple[Example, ...]:
    """The first images that every run on this data is evaluated on."""
    try:
        rows = load_rows(
            dataset, train_examples=1, evaluation_examples=MAX_IMAGES, seed=0, should_stop=lambda: True
        )
    except (DownloadFailed, DownloadStopped) as error:
        raise Unavailable(
            f"{dataset.title} is not on this machine any more, so there is no image to choose. Training on "
            "it once brings it back."
        ) from error
    transform = squared(size)
    pairs = zip(rows.evaluation.inputs, rows.evaluation.labels, strict=True)
    return tuple(Example(rows.labels[int(label)], transform(image)) for image, label in pairs)


def _png(pixels: Tensor) -> str:
    file = io.BytesIO()
    pictures.to_pil_image(pixels).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
