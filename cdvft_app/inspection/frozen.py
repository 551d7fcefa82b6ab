"""A run's pretrained model, read from this machine's cache: its weights, and the inputs of its layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from cdvft_app import catalog
from cdvft_app.catalog.backbones import (
    ImageBackbone,
    TextBackbone,
    load_image_backbone,
    load_text_backbone,
)
from cdvft_app.catalog.download import DownloadFailed, DownloadStopped
from cdvft_app.catalog.entries import ModelEntry
from cdvft_app.inspection.examples import layer_inputs
from cdvft_app.inspection.sources import Source, Unavailable
from cdvft_app.inspection.turns import Turn
from cdvft_app.payloads.factors import LayerInputs

PATIENCE = 20.0  # seconds that one visitor waits for another's turn
MAX_CHARACTERS = 400  # of a text that somebody types
MAX_TOKENS = 48
_TURN = Turn("The server is busy with somebody else's example; try again in a moment.")


@contextmanager
def backbone(source: Source) -> Iterator[TextBackbone | ImageBackbone]:
    """The run's frozen model, for one caller at a time: one's hooks must not record another's example.

    Raises:
        Unavailable: the model is not on this machine.
        Busy: others use it for longer than a visitor waits.
    """
    plan = catalog.resolve(source.settings)
    with _TURN.taken(PATIENCE):
        yield _loaded(plan.model, plan.settings.image_size if plan.model.kind == "image" else None)


def text_inputs(source: Source, module: str, text: object) -> LayerInputs:
    """The vectors x that reach a module of the frozen model, one for each token of `text`.

    Raises:
        Unavailable: the text cannot be used, or the model is not on this machine; says why.
        Busy: others use the model.
    """
    if not isinstance(text, str) or not text.strip():
        raise Unavailable("Type a few words first.")
    if len(text) > MAX_CHARACTERS:
        raise Unavailable(f"The text has {len(text)} characters; at most {MAX_CHARACTERS} are taken.")
    with backbone(source) as loaded:
        if not isinstance(loaded, TextBackbone):
            raise Unavailable("This run is about images; choose one of its pictures.")
        encoded = loaded.tokenizer(text.strip(), truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        x, y = run(loaded.model, [module], dict(encoded))[module]
        tokens = loaded.tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
    return layer_inputs(list(tokens), x.numpy(), y.norm(dim=-1).tolist())


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
    """The pretrained weight of one layer, (d_out, d_in) in float32.

    Raises:
        Unavailable: the model is not on this machine, or has no such layer.
        Busy: others use it for longer than a visitor waits.
    """
    with backbone(source) as loaded:
        layer = find_submodule(loaded.model, module)
    if layer is None:
        raise Unavailable(f"The pretrained model has no layer {module!r}.")
    return layer.weight.detach().float()


@torch.no_grad()
def run(model: nn.Module, modules: list[str], inputs: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """One forward of the frozen model: each module's input and output (T, d) for a single example.

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
    """`model.get_submodule`, also for a name with wrappers' names in front; None where there is none."""
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
