"""A run's pretrained model, read from this machine's cache: its weights, and what its layers receive for
each token or patch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from cdvft_app import catalog
from cdvft_app.catalog.backbones import ImageBackbone, TextBackbone, load_image_backbone, load_text_backbone
from cdvft_app.catalog.download import DownloadFailed, DownloadStopped
from cdvft_app.catalog.entries import ModelEntry
from cdvft_app.inspection.lock import TimedLock
from cdvft_app.inspection.sources import Source, Unavailable

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
