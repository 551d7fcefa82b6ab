"""A timm image model of any kind as an entry of the catalogue: its linear layers, head and size of images.

Of plain vision transformers more is known (architectures.py). What is here holds for every model that timm
builds, whatever its layers see: ConvNeXt, Swin, MLP-Mixer and others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import timm
import torch
from torch import nn

from cdvft_app.catalog.entries import POOLING, LinearGroup, ModelEntry
from cdvft_app.settings import InvalidChoice
from cdvft_app.shapes.model_shapes import grouped

USUAL_REDUCTION = 32
# The first of these that a model has: attention where it is made of linear layers, else the blocks' MLPs.
TARGETS = (("attn.qkv",), ("qkv",), ("attn.q", "attn.kv"), ("q_proj", "v_proj"), ("mlp.fc1", "mlp.fc2"),
           ("fc1", "fc2"))  # fmt: skip


def timm_entry(entry: ModelEntry, architecture: str) -> ModelEntry:
    """The entry with what timm knows of the architecture, built without weights.

    Raises:
        InvalidChoice: it has no linear layer to adapt, no one classifier, or cannot be built; says which.
    """
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
    size = int(model.pretrained_cfg.get("input_size", (3, 224, 224))[-1])
    reductions = [one["reduction"] for one in getattr(model, "feature_info", None) or ()]
    return dataclasses.replace(
        entry,
        kind="image",
        pooling=POOLING["image"],
        layers=layers,
        default_targets=usual_targets(layers),
        hidden_size=model.num_features,
        image_size=size,
        parameters=sum(one.numel() for one in model.parameters()),
        licence=entry.licence if entry.source == "local" else _licence(model) or entry.licence,
        patch_size=max(reductions, default=USUAL_REDUCTION),
        is_countable=False,
    )


def _licence(model: Any) -> str | None:
    """Of the weights that timm has for it."""
    return model.pretrained_cfg.get("license")


def usual_targets(layers: Sequence[LinearGroup]) -> tuple[str, ...]:
    """Suffixes of the layers to adapt by default, as PEFT matches them."""
    for names in TARGETS:
        if all(any(layer.matches(name) for layer in layers) for name in names):
            return names
    return tuple(dict.fromkeys(layer.name for layer in layers))
