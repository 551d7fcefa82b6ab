"""What one layer of a run's pretrained model receives for a text somebody typed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from cdvft_app import catalog
from cdvft_app.catalog.backbones import TextBackbone, load_text_backbone
from cdvft_app.catalog.download import DownloadFailed, DownloadStopped
from cdvft_app.catalog.entries import ModelEntry
from cdvft_app.inspection.examples import packed
from cdvft_app.inspection.sources import Source, Unavailable

MOST_CHARACTERS = 400
MOST_TOKENS = 48


def inputs(source: Source, module: str, text: object) -> dict[str, Any]:
    """The vectors x that reach a module of the frozen model, one for each token of `text`.

    Raises:
        Unavailable: the text cannot be used, or the model is not on this machine; says why.
    """
    if not isinstance(text, str) or not text.strip():
        raise Unavailable("Type a few words first.")
    if len(text) > MOST_CHARACTERS:
        raise Unavailable(f"The text has {len(text)} characters; at most {MOST_CHARACTERS} are taken.")
    backbone = _backbone(_model(source))
    encoded = backbone.tokenizer(text.strip(), truncation=True, max_length=MOST_TOKENS, return_tensors="pt")
    x, y = run(backbone.model, [module], dict(encoded))[module]
    tokens = backbone.tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
    return packed(list(tokens), x.numpy(), y.norm(dim=-1).tolist())


def weight_norms(source: Source, modules: list[str]) -> dict[str, float]:
    """||W||_F of the run's frozen layers; those that the model does not have are left out."""
    model = _backbone(_model(source)).model
    found = {module: find(model, module) for module in modules}
    return {
        module: float(torch.linalg.matrix_norm(layer.weight.detach().float()))
        for module, layer in found.items()
        if layer is not None
    }


@torch.no_grad()
def run(model: nn.Module, modules: list[str], encoded: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """One forward of the frozen model: each module's input and output (T, d) for a single example.

    Raises:
        Unavailable: the model has no such module.
    """
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    handles = []
    try:
        for module in modules:
            layer = find(model, module)
            if layer is None:
                raise Unavailable(f"The pretrained model has no layer {module!r}.")

            def keep(_: nn.Module, given: Any, result: Tensor, module: str = module) -> None:
                seen[module] = (given[0][0].float(), result[0].float())

            handles.append(layer.register_forward_hook(keep))
        model.eval()
        model(**encoded)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def find(model: nn.Module, module: str) -> Any:
    """The layer of that name, which may have the names of wrappers in front; None where there is none."""
    parts = module.split(".")
    for first in range(len(parts)):
        try:
            return model.get_submodule(".".join(parts[first:]))
        except AttributeError:
            continue
    return None


def _model(source: Source) -> ModelEntry:
    model = catalog.resolve(source.settings).model
    if model.kind != "text":
        raise Unavailable("Only runs on text can be followed with a typed example.")
    return model


@lru_cache(maxsize=1)
def _backbone(model: ModelEntry) -> TextBackbone:
    try:
        # Nothing is fetched here: a model that is gone from this machine would keep the page waiting.
        return load_text_backbone(model, should_stop=lambda: True)
    except (DownloadFailed, DownloadStopped) as error:
        raise Unavailable(
            f"{model.title} is not on this machine any more, so what its layers receive cannot be computed "
            "here. Training with it once brings it back."
        ) from error
