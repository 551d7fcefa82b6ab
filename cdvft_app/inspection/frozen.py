"""A run's pretrained model, read from this machine's cache: its weights, and what its layers receive for
each token or patch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as pictures
from transformers.pytorch_utils import Conv1D

from cdvft_app import catalog
from cdvft_app.catalog.backbones import ImageBackbone, TextBackbone, load_image_backbone, load_text_backbone
from cdvft_app.catalog.dataset_readers import load_rows
from cdvft_app.catalog.download import DownloadFailed, DownloadStopped
from cdvft_app.catalog.entries import DatasetEntry, ModelEntry
from cdvft_app.data.pictures import as_data_url
from cdvft_app.inspection.examples import layer_inputs
from cdvft_app.inspection.lock import TimedLock
from cdvft_app.inspection.sources import Source, Unavailable
from cdvft_app.payloads.factors import Images, LayerInputs
from cdvft_app.tasks.image import normalized, squared

PATIENCE = 20.0  # seconds that one visitor waits for another's turn
MAX_CHARACTERS = 400  # of a text that somebody types
MAX_TOKENS = 48
_LOCK = TimedLock("The server is busy with somebody else's example; try again in a moment.")


@contextmanager
def backbone(source: Source) -> Iterator[TextBackbone | ImageBackbone]:
    """Give the run's frozen model to one caller at a time: one's hooks must not record another's example.

    Raises:
        Unavailable: the model is not on this machine.
        TooManyRequests: others use it for longer than a visitor waits.
    """
    plan = catalog.resolve(source.settings)
    with _LOCK.held(PATIENCE):
        yield _loaded(plan.model, plan.settings.image_size if plan.model.kind == "image" else None)


def text_inputs(source: Source, module: str, text: object) -> LayerInputs:
    """Return the vectors x that reach a module of the frozen model, one for each token of `text`.

    Raises:
        Unavailable: the text cannot be used, or the model is not on this machine; says why.
        TooManyRequests: others use the model.
    """
    checked = checked_text(text)
    with backbone(source) as loaded:
        if not isinstance(loaded, TextBackbone):
            raise Unavailable("This run is about images; choose one of its pictures.")
        encoded = loaded.tokenizer(checked, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        x, y = run(loaded.model, [module], dict(encoded))[module]
        tokens = loaded.tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
    return layer_inputs(list(tokens), x.numpy(), y.norm(dim=-1).tolist())


def checked_text(text: object) -> str:
    """Return what somebody typed, without space around it.

    Raises:
        Unavailable: it is no text, empty or too long.
    """
    if not isinstance(text, str) or not text.strip():
        raise Unavailable("Type a few words first.")
    if len(text) > MAX_CHARACTERS:
        raise Unavailable(f"The text has {len(text)} characters; at most {MAX_CHARACTERS} are taken.")
    return text.strip()


def weight_norms(source: Source, modules: list[str]) -> dict[str, float]:
    """||W||_F of the run's frozen layers; those that the model does not have are left out."""
    with backbone(source) as loaded:
        found = {module: find_submodule(loaded.model, module) for module in modules}
    return {
        module: float(torch.linalg.matrix_norm(layer.weight.detach().float()))
        for module, layer in found.items()
        if layer is not None
    }


def weight(source: Source, module: str) -> Tensor:
    """Return the pretrained weight of one layer, (d_out, d_in) in float32.

    Raises:
        Unavailable: the model is not on this machine, or has no such layer.
        TooManyRequests: others use it for longer than a visitor waits.
    """
    with backbone(source) as loaded:
        layer = find_submodule(loaded.model, module)
    if layer is None:
        raise Unavailable(f"The pretrained model has no layer {module!r}.")
    return turned(layer, layer.weight.detach().float())


def turned(layer: nn.Module, weight: Tensor) -> Tensor:
    """Return the weight of a layer as (d_out, d_in): a Conv1D keeps it the other way round."""
    return weight.T if isinstance(layer, Conv1D) else weight


@torch.no_grad()
def run(model: nn.Module, modules: list[str], inputs: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Run the frozen model once: return each module's input and output (T, d) for a single example.

    Raises:
        Unavailable: the model has no such module.
    """
    recorded: dict[str, tuple[Tensor, Tensor]] = {}
    handles = []
    try:
        for module in modules:
            layer = find_submodule(model, module)
            if layer is None:
                raise Unavailable(f"The pretrained model has no layer {module!r}.")

            def record(_: nn.Module, args: Any, output: Tensor, module: str = module) -> None:
                recorded[module] = (args[0][0].float(), output[0].float())

            handles.append(layer.register_forward_hook(record))
        model.eval()
        model(**inputs)
    finally:
        for handle in handles:
            handle.remove()
    return recorded


def find_submodule(model: nn.Module, module: str) -> Any:
    """Return what `model.get_submodule` does, also for a name with wrappers' names in front; None where there
    is none."""
    parts = module.split(".")
    for first in range(len(parts)):
        try:
            return model.get_submodule(".".join(parts[first:]))
        except AttributeError:
            continue
    return None


@lru_cache(maxsize=1)
def _loaded(model: ModelEntry, image_size: int | None) -> TextBackbone | ImageBackbone:
    def refuse_downloads() -> bool:  # the page would wait for a model that was deleted from this machine
        return True

    try:
        if image_size is None:
            return load_text_backbone(model, should_stop=refuse_downloads)
        return load_image_backbone(model, image_size, should_stop=refuse_downloads)
    except (DownloadFailed, DownloadStopped) as error:
        raise Unavailable(
            f"{model.title} is not on this machine any more, so what its layers receive cannot be computed "
            "here. Training with it once brings it back."
        ) from error


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
    """Return {"images": [{"label", "picture": a PNG as a data address}], "before", "rows", "columns"} for the
    page.

    Raises:
        Unavailable: this run has no patches, or its model or images are not on this machine; says why.
        TooManyRequests: others use the model.
    """
    with backbone(source) as loaded:
        grid = _grid(loaded)
    return {
        "images": [
            {"label": e.label, "picture": as_data_url(pictures.to_pil_image(e.pixels))}
            for e in _examples(source)
        ],
        "before": grid.before,
        "rows": grid.rows,
        "columns": grid.columns,
    }


def patch_inputs(source: Source, module: str, image: object) -> LayerInputs:
    """Return the vectors x that reach a module, one for each token, of `images` that with the index `image`.

    Raises:
        Unavailable: there is no such image, or the layer does not work patch by patch; says why.
        TooManyRequests: others use the model.
    """
    with backbone(source) as loaded:
        grid, example = _grid(loaded), _example(source, image)
        assert isinstance(loaded, ImageBackbone)
        pixels = normalized(loaded.mean, loaded.std)(example.pixels)
        x, y = run(loaded.model, [module], {"x": pixels[None]})[module]
    if x.dim() != 2 or len(x) != len(grid.names):
        raise Unavailable("This layer does not work patch by patch, so there is no single one to follow.")
    return layer_inputs(grid.names, x.numpy(), y.norm(dim=-1).tolist())


def image(source: Source, index: object) -> np.ndarray:
    """Return one of `images` by its index, (size, size, 3) uint8.

    Raises:
        Unavailable: there is no such image.
    """
    return _example(source, index).pixels.permute(1, 2, 0).numpy()


def _example(source: Source, index: object) -> Example:
    examples = _examples(source)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(examples):
        raise Unavailable(f"There is no image {str(index)[:20]!r}; choose one of {len(examples)}.")
    return examples[index]


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
    if plan.settings.image_size is None:
        raise Unavailable("This run is about texts; type one.")
    return _read_examples(plan.dataset, plan.settings.image_size)


@lru_cache(maxsize=2)
def _read_examples(dataset: DatasetEntry, size: int) -> tuple[Example, ...]:
    """Return the first images that every run on this data is evaluated on."""
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
