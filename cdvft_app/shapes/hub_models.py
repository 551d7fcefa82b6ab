"""Models that are no entry of the catalogue: found by a part of a name, described by their configuration."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cdvft.cost import Shape
from cdvft_app import catalog
from cdvft_app.catalog import entries
from cdvft_app.catalog.entries import KNOWN_MODELS, POOLING, Kind, KnownModel, LinearGroup, ModelEntry
from cdvft_app.catalog.hub import search_hub
from cdvft_app.catalog.sources import to_fetch
from cdvft_app.settings import InvalidChoice
from cdvft_app.shapes import ModelShapes, backbone_shapes, model_shapes
from cdvft_app.shapes.layers import ALL_LINEAR, WRITERS, NotPlain, grouped

RGB = 3
_USUAL_REDUCTION = 32
# The first of these that a model has: attention where it is made of linear layers, else the blocks' MLPs.
_TIMM_TARGETS = (("attn.qkv",), ("qkv",), ("attn.q", "attn.kv"), ("q_proj", "v_proj"), ("mlp.fc1", "mlp.fc2"),
           ("fc1", "fc2"))  # fmt: skip


def describe_model(key: str, kind: Kind) -> ModelEntry:
    """Return the entry with its layers, default targets and size; `entries.model_entry` gives it from now on.

    Raises:
        InvalidChoice: ids are not accepted here, there is no such model, or it is not supported.
    """
    entry = entries.model_entry(key, kind)
    if entry.layers:
        return entry
    try:
        # What writes can also be read by a head.
        shapes = (backbone_shapes if kind == "text" else model_shapes)(entry.location)
    except NotPlain as error:
        if error.architecture is None:
            raise
        entry = _timm_entry(entry, error.architecture)
        entries.remember(kind, entry)
        return entry
    layers, targets = groups(shapes), shapes.default_targets
    entry = dataclasses.replace(
        entry,
        kind=shapes.kind,
        pooling=POOLING[shapes.kind],
        layers=layers,
        default_targets=_every(layers) if targets == (ALL_LINEAR,) else targets,
        hidden_size=shapes.hidden_size,
        parameters=shapes.total_parameters,
        max_length=shapes.max_length,
        patch_size=_patch(shapes.convolutions),
    )
    entries.remember(kind, entry)
    return entry


def describe_chosen_model(model: str | None, recipe: str) -> None:
    """Let the catalogue know the layers of a model chosen for a recipe, if it is not in the catalogue.

    Raises:
        InvalidChoice: as `describe_model`.
    """
    known = catalog.RECIPES.get(recipe)
    if known is not None and model and model not in catalog.MODELS:
        describe_model(model, known.kind)


def groups(shapes: ModelShapes) -> tuple[LinearGroup, ...]:
    """Return layers grouped by name within their blocks and by shape; a writer's output layer is apart."""
    inner = [shape for shape in shapes.layers if shape.name != shapes.output_layer]
    return grouped((shape.name, shape.d_out, shape.d_in) for shape in inner)


def _timm_entry(entry: ModelEntry, architecture: str) -> ModelEntry:
    """Return the entry with what timm knows of the architecture, built without weights.

    It may be any of timm's: ConvNeXt, Swin and MLP-Mixer too, whose layers see different numbers of tokens.

    Raises:
        InvalidChoice: it has no linear layer to adapt, no one classifier, or cannot be built; says which.
    """
    import timm
    import torch
    from torch import nn

    try:
        with torch.device("meta"):
            model: Any = timm.create_model(architecture, pretrained=False, num_classes=0)
    except Exception as error:  # timm's models refuse in their own ways
        raise InvalidChoice(
            f"timm cannot build {architecture}: {str(error)[:200]}. Choose another model."
        ) from error
    classifier = model.pretrained_cfg.get("classifier")
    if not isinstance(classifier, str):
        has = "several classifiers" if classifier else "no classifier"
        raise InvalidChoice(f"{architecture} has {has}; a head is put in the place of one. Choose another.")
    head = classifier.partition(".")[0]
    linear = [
        (path, module)
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear) and path.partition(".")[0] != head
    ]
    layers = grouped((path, one.out_features, one.in_features) for path, one in linear)
    if not layers:
        convolutions = sum(isinstance(module, nn.Conv2d) for module in model.modules())
        raise InvalidChoice(
            f"{architecture} has no linear layer to adapt: its {convolutions} layers are convolutions, which "
            "get no adapter here. Choose a ViT, DeiT, Swin, ConvNeXt or MLP-Mixer."
        )
    weights_licence = model.pretrained_cfg.get("license")
    size = int(model.pretrained_cfg.get("input_size", (3, 224, 224))[-1])
    reductions = [one["reduction"] for one in getattr(model, "feature_info", None) or ()]
    return dataclasses.replace(
        entry,
        kind="image",
        pooling=POOLING["image"],
        layers=layers,
        default_targets=_usual_targets(layers),
        hidden_size=model.num_features,
        image_size=size,
        parameters=sum(one.numel() for one in model.parameters()),
        licence=entry.licence if entry.source == "local" else weights_licence or entry.licence,
        patch_size=max(reductions, default=_USUAL_REDUCTION),
        is_countable=False,
    )


def _usual_targets(layers: Sequence[LinearGroup]) -> tuple[str, ...]:
    """Return the suffixes of the layers to adapt by default, as PEFT matches them."""
    for names in _TIMM_TARGETS:
        if all(any(layer.matches(name) for layer in layers) for name in names):
            return names
    return _every(layers)


def _every(layers: Sequence[LinearGroup]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(layer.name for layer in layers))


def _patch(convolutions: tuple[Shape, ...]) -> int | None:
    """Return the side of a patch, of which the one convolution makes a token."""
    return math.isqrt(convolutions[0].d_in // RGB) if convolutions else None


MAX_RESULTS = 12
MAX_SEARCH_LENGTH = 100  # characters
IMAGES = "ViTModel"


@dataclass(frozen=True)
class FoundModel:
    """`key` is what the model field takes. `where`: here offline, in the catalogue, known, or on the hub.

    `parameters` and `downloads` are None where nobody said.
    """

    key: str
    title: str
    where: Literal["offline", "listed", "known", "hub"]
    parameters: int | None = None
    downloads: int | None = None


def search_models(text: str, kind: Kind) -> tuple[list[FoundModel], str | None]:
    """Return models of a kind that have all these words in their names, those that are here first.

    Returns:
        The models, and a sentence where the hub was to be asked and did not answer.
    """
    words = text.casefold()[:MAX_SEARCH_LENGTH].split()
    found = list(_listed(words, kind))
    if not catalog.hub_ids_allowed():
        return found[:MAX_RESULTS], None
    names = {catalog.MODELS[one.key].location for one in found}
    found += [one for one in _known(words, kind) if one.key not in names]
    message = None
    if len(found) < MAX_RESULTS and words:
        more, message = search_hub(text[:MAX_SEARCH_LENGTH], kind, MAX_RESULTS)
        names |= {one.key for one in found}
        found += [
            FoundModel(one["id"], one["id"], "hub", downloads=one["downloads"])
            for one in more
            if one["id"] not in names
        ]
    return found[:MAX_RESULTS], message


def _listed(words: Sequence[str], kind: Kind) -> Iterator[FoundModel]:
    entries = [
        entry
        for entry in catalog.MODELS.values()
        if entry.kind == kind and _has(words, entry.key, entry.title, entry.location, entry.note)
    ]
    for entry in sorted(entries, key=lambda one: (one.source != "mirror", to_fetch(one) is not None)):
        where: Literal["offline", "listed"] = "offline" if to_fetch(entry) is None else "listed"
        yield FoundModel(entry.key, entry.title, where, entry.parameters)


def _known(words: Sequence[str], kind: Kind) -> Iterator[FoundModel]:
    for model in KNOWN_MODELS:
        if _kind(model) == kind and _has(words, *model.names):
            yield FoundModel(model.id, model.id, "known")


def _kind(model: KnownModel) -> Kind | None:
    """Return the kind of a model; None for transformers' image models, since images are timm's."""
    if model.architecture:
        return "image"
    architectures = model.configuration.get("architectures")
    names = [str(one) for one in architectures] if isinstance(architectures, list) else []
    if any(name.endswith(WRITERS) for name in names):
        return "generation"
    return None if IMAGES in names else "text"


def _has(words: Sequence[str], *names: str) -> bool:
    text = " ".join(names).casefold()
    return all(word in text for word in words)
