"""Builds a model by its name without its weights, on torch's meta device, and reads its shapes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.activations import NewGELUActivation
from transformers.pytorch_utils import Conv1D

from cdvft.blocks import matches
from cdvft.cost import Shape
from cdvft.targets import DEFAULT_TARGETS
from cdvft_app.catalog.entries import KNOWN_MODELS, Kind, find_known_model, nearest_known_models
from cdvft_app.catalog.hub import OFFLINE_RECIPES, hub_status
from cdvft_app.catalog.plan import hub_ids_allowed
from cdvft_app.settings import InvalidChoice
from cdvft_app.shapes.layers import ALL_LINEAR, WRITERS, ModelShapes, NotPlain, blocks, in_blocks

_MAX_CONFIG_BYTES = 1_000_000
_MAX_DEPTH = 512
_MAX_IMAGE_SIZE = 2048
_SECONDS_TO_ANSWER = 5.0

_SAME_INPUT = (
    {"query", "key", "value"},
    {"q_proj", "k_proj", "v_proj"},
    {"q_lin", "k_lin", "v_lin"},
    {"query_proj", "key_proj", "value_proj"},
    {"q", "k", "v"},
    {"gate_proj", "up_proj"},
)
"""Names of layers of one block that read the same tensor."""

_USUAL_TARGETS = (
    ("q_proj", "v_proj"),
    ("query", "value"),
    ("q_lin", "v_lin"),
    ("q", "v"),
    ("qkv",),
    ("query_key_value",),
    ("qkv_proj",),
    ("Wqkv",),
    ("c_attn",),
)
"""What is adapted by default where the tuner has no default: query and value, alone or fused."""

_MIN_LAYERS_PER_BLOCK = 3
"""Projections of attention, alone or fused, and those of the multilayer perceptron."""

_KEPT_BY_NEW_GELU = 3
"""Of 0.5 x (1 + tanh(...)), operation by operation: the tangent, the first factor and the second."""

_BEFORE_PATCHES = ("cls_token", "distillation_token")
"""Parameters of transformers' vision models that stand in front of the patches, one token each."""


@dataclass(frozen=True)
class Architecture:
    """A torch module without weights, without pooler and without classification head.

    `configuration` is transformers' own; None for timm.
    """

    name: str
    kind: Kind
    model: Any
    configuration: Any


def build(name: str, image_size: int | None = None, read_by_head: bool = False) -> Architecture:
    """Return the architecture of a known model, of a timm name, of a local folder, or of a hub id.

    With `read_by_head` also of what writes the backbone alone. Of the hub only config.json is read, never
    weights or code.

    Raises:
        InvalidChoice: there is no such model, the hub does not answer, or the model cannot be counted.
    """
    known = find_known_model(name)
    if known:
        if known.architecture:
            return _timm(known.id, known.architecture, image_size)
        return _transformers(known.id, known.configuration, image_size, read_by_head)
    import timm

    if timm.is_model(name.removeprefix("timm/")):
        return _timm(name, name.removeprefix("timm/"), image_size)
    if not hub_ids_allowed():
        raise InvalidChoice(f"Model {name!r} is not known here. {_suggestions(name)} A timm name works too.")
    configuration = _local_config(name) or _hub_config(name)
    if "model_type" not in configuration and timm.is_model(str(configuration.get("architecture"))):
        return _timm(name, str(configuration["architecture"]), image_size)
    return _transformers(name, configuration, image_size, read_by_head)


def _timm(name: str, architecture: str, image_size: int | None) -> Architecture:
    import timm

    with torch.device("meta"):
        model: Any = timm.create_model(architecture, pretrained=False, num_classes=0)
    if not _is_plain_vit(model):
        raise NotPlain(
            f"{architecture} is not a plain vision transformer: its layers see different numbers of tokens, "
            "which this count does not follow. Choose a ViT, DeiT, BEiT, EVA or DINOv2 model.",
            architecture,
        )
    if image_size is not None:
        _require_whole_patches(name, image_size, model.patch_embed.patch_size[0])
        with torch.device("meta"):
            model = timm.create_model(architecture, pretrained=False, num_classes=0, img_size=image_size)
    if getattr(model, "attn_pool", None) is not None:
        model.attn_pool = None
    return Architecture(name, "image", model, None)


def _is_plain_vit(model: Any) -> bool:
    """Return whether one convolution makes the patches, and every block attends to all of them."""
    convolutions = [path for path, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    attention = [type(getattr(block, "attn", None)).__name__ for block in getattr(model, "blocks", ())]
    plain = bool(attention) and all("Attention" in kind for kind in attention)
    return plain and convolutions == ["patch_embed.proj"]


def _transformers(
    name: str, configuration: Mapping[str, object], image_size: int | None, read_by_head: bool
) -> Architecture:
    from transformers import AutoModel, AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

    model_type = str(configuration.get("model_type"))
    if model_type not in CONFIG_MAPPING:
        raise InvalidChoice(
            f"{name} has model_type {model_type!r}, which transformers does not know without running code of "
            "the model's author. That is never done here; choose a model that transformers itself has."
        )
    size = {} if image_size is None else {"image_size": image_size}
    try:
        config = CONFIG_MAPPING[model_type].from_dict({**configuration, **size})
    except Exception as error:  # each configuration class refuses values in its own way
        raise InvalidChoice(
            f"The configuration of {name} cannot be read: {error}. Choose another."
        ) from error
    _require_plain(name, config)
    takes_images = type(config) in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING
    if takes_images and not getattr(config, "patch_size", None):
        raise InvalidChoice(
            f"{name} does not cut images into patches: this count does not follow it. Choose a ViT."
        )
    if image_size is not None:
        _require_whole_patches(name, image_size, getattr(config, "patch_size", None))
    generates = not read_by_head and any(a.endswith(WRITERS) for a in config.architectures or ())
    automatic = AutoModelForCausalLM if generates else AutoModel
    try:
        with torch.device("meta"):
            model = automatic.from_config(config, trust_remote_code=False)
    except Exception as error:  # inconsistent sizes fail in many ways, wherever they are used together
        raise InvalidChoice(f"No model fits the configuration of {name}: {error}. Choose another.") from error
    if not (generates or takes_images) and model.main_input_name != "input_ids":
        raise InvalidChoice(
            f"{name} takes {model.main_input_name}, and no text: this count does not follow it. Choose a "
            "plain transformer."
        )
    if isinstance(getattr(model, "pooler", None), nn.Module):
        model.pooler = None
    return Architecture(
        name, "generation" if generates else "image" if takes_images else "text", model, config
    )


def _require_plain(name: str, config: Any) -> None:
    """Refuse models that the formulas do not hold for, as where layers see other tokens, or only some."""
    if getattr(config, "is_heterogeneous", False):  # whose settings of layers cannot be asked for at once
        raise InvalidChoice(
            f"{name} has settings that differ from layer to layer: this count does not follow it. Choose a "
            "plain transformer."
        )
    experts = ("num_experts", "num_local_experts", "n_routed_experts")
    heads, depth = (getattr(config, key, 0) for key in ("num_attention_heads", "num_hidden_layers"))
    reasons = {
        "is an encoder and a decoder, which see different tokens": config.is_encoder_decoder,
        "joins several models": bool(config.sub_configs),
        "is a mixture of experts, which see only some tokens": any(
            (getattr(config, key, 0) or 0) > 1 for key in experts
        ),
        "has no one number of attention heads": not isinstance(heads, int) or heads < 1,
        f"has no depth from 1 to {_MAX_DEPTH}": not isinstance(depth, int) or not 0 < depth <= _MAX_DEPTH,
    }
    for reason, holds in reasons.items():
        if holds:
            raise InvalidChoice(
                f"{name} {reason}: this count does not follow it. Choose a plain transformer."
            )


def _require_whole_patches(name: str, image_size: int, patch: int | None) -> None:
    if not patch:
        raise InvalidChoice(f"image_size: got {image_size}, but {name} takes no images. Leave it empty.")
    if not 0 < image_size <= _MAX_IMAGE_SIZE or image_size % patch:
        below = max(min(image_size, _MAX_IMAGE_SIZE) // patch, 1) * patch
        raise InvalidChoice(
            f"image_size: got {image_size}; {name} takes multiples of {patch}, such as {below}."
        )


def _local_config(name: str) -> dict[str, object] | None:
    file = Path(name).expanduser() / "config.json"
    return _parse(name, file.read_bytes()) if file.is_file() else None


def _hub_config(name: str) -> dict[str, object]:
    """Return config.json from the cache, else from the hub in one try, since the usual ones take long."""
    from huggingface_hub import get_session, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import build_hf_headers

    try:
        cached = try_to_load_from_cache(name, "config.json")
        address = hf_hub_url(name, "config.json")
    except HFValidationError:
        raise InvalidChoice(
            f"{name!r} is neither a known model, a timm name, a folder with a config.json, nor a hub id such "
            f"as owner/name. {_suggestions(name)}"
        ) from None
    if isinstance(cached, str):
        return _parse(name, Path(cached).read_bytes())
    status = hub_status()  # bounds the looking up of addresses too, which no timeout below does
    if not status.reachable:
        raise _out_of_reach(name, status.sentence.removesuffix(OFFLINE_RECIPES).strip())
    try:
        answer = get_session().get(
            address, headers=build_hf_headers(), timeout=_SECONDS_TO_ANSWER, follow_redirects=True
        )
    except Exception as error:  # the hub's client has a family of errors for each way of not connecting
        raise _out_of_reach(name, f"The hub cannot be reached from here ({error}).") from error
    if answer.status_code != 200:
        raise InvalidChoice(
            f"The hub has no config.json to read for {name!r} (it answered {answer.status_code}). Check the "
            "id, or log in if the model is gated."
        )
    return _parse(name, answer.content)


def _out_of_reach(name: str, why: str) -> InvalidChoice:
    return InvalidChoice(
        f"{name!r} is not known here, and its config.json is not in the hub's cache. {why} "
        f"{_suggestions(name)} A timm name or a folder with a config.json works too."
    )


def _parse(name: str, content: bytes) -> dict[str, object]:
    try:
        found = json.loads(content) if len(content) <= _MAX_CONFIG_BYTES else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidChoice(
            f"The config.json of {name!r} is not a model's configuration. Choose another model."
        )
    return found


def _suggestions(name: str) -> str:
    """Return a sentence with the nearest known models, and where all are listed."""
    near = nearest_known_models(name)
    nearest = f"The nearest {'is' if len(near) == 1 else 'are'} {', '.join(near)}. " if near else ""
    return f"{nearest}The list of models on the Compare tab has all {len(KNOWN_MODELS)} known ones."


def read_shapes(name: str, image_size: int | None, read_by_head: bool) -> ModelShapes:
    """Return `cdvft_app.shapes.model_shapes`, or `backbone_shapes`, without a cache."""
    architecture = build(name, image_size, read_by_head)
    config = architecture.configuration
    layers = tuple(
        _shape(path, module) for path, module in architecture.model.named_modules() if _is_linear(module)
    )
    sizes = _timm_sizes(architecture.model) if config is None else _transformers_sizes(architecture)
    depth = len(blocks(layers))
    if depth != sizes["attention_layers"] or len(layers) < _MIN_LAYERS_PER_BLOCK * depth:
        raise NotPlain(
            f"{architecture.name} has blocks that share their weights, or whose attention is not made of "
            "linear layers: this count does not follow it. Choose a plain transformer.",
            None if config else architecture.model.pretrained_cfg["architecture"],
        )
    convolutions = tuple(
        Shape(path, module.out_channels, module.weight[0].numel(), bias=module.bias is not None)
        for path, module in architecture.model.named_modules()
        if isinstance(module, nn.Conv2d)
    )
    written_out = any(isinstance(module, NewGELUActivation) for module in architecture.model.modules())
    output = architecture.model.get_output_embeddings() if architecture.kind == "generation" else None
    return ModelShapes(
        name=architecture.name,
        kind=architecture.kind,
        layers=layers,
        convolutions=convolutions,
        total_parameters=sum(parameter.numel() for parameter in architecture.model.parameters()),
        default_targets=_default_targets(layers, getattr(config, "model_type", None)),
        output_layer=next(
            (path for path, module in architecture.model.named_modules() if module is output), ""
        ),
        written_out=_KEPT_BY_NEW_GELU * sum(own[-1].d_in for own in in_blocks(layers)) if written_out else 0,
        **sizes,
    )


def _timm_sizes(model: Any) -> dict[str, Any]:
    attention = model.blocks[0].attn
    head = getattr(attention, "head_dim", model.embed_dim // attention.num_heads)
    return {
        "hidden_size": model.embed_dim,
        "attention_layers": len(model.blocks),
        "attention_width": head * attention.num_heads,
        "tokens": model.patch_embed.num_patches + model.num_prefix_tokens,
        "max_length": None,
        "image_size": model.patch_embed.img_size[0],
    }


def _transformers_sizes(architecture: Architecture) -> dict[str, Any]:
    config, takes_images = architecture.configuration, architecture.kind == "image"
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    longest = getattr(config, "max_position_embeddings", None)
    if longest:
        longest -= _positions_left_out(architecture.model)
    patches = (config.image_size // config.patch_size) ** 2 if takes_images else 0
    named = (path.rpartition(".")[2] for path, _ in architecture.model.named_parameters())
    before = sum(name in _BEFORE_PATCHES for name in named) + getattr(config, "num_register_tokens", 0)
    drops = getattr(config, "attention_probs_dropout_prob", 0) or getattr(config, "attn_pdrop", 0)
    depth, heads = config.num_hidden_layers, config.num_attention_heads
    return {
        "hidden_size": config.hidden_size,
        "attention_layers": depth,
        "attention_width": head * heads,
        "tokens": patches + before if takes_images else None,
        "max_length": None if takes_images or not longest or longest < 1 else longest,
        "image_size": config.image_size if takes_images else None,
        "scores": depth * heads if drops else 0,
        "dropped": 2 * depth * config.hidden_size if getattr(config, "hidden_dropout_prob", 0) else 0,
    }


def _positions_left_out(model: nn.Module) -> int:
    """Return how many positions no token has, as in RoBERTa, whose first one follows the padding's."""
    tables = (
        module
        for path, module in model.named_modules()
        if path.endswith("position_embeddings") and isinstance(module, nn.Embedding)
    )
    return next((one.padding_idx + 1 for one in tables if one.padding_idx is not None), 0)


def _default_targets(layers: tuple[Shape, ...], model_type: str | None) -> tuple[str, ...]:
    """Return the tuner's default targets for the model type; else query and value by their usual names."""
    default = DEFAULT_TARGETS.get(model_type or "", ())
    by_type = default if not isinstance(default, str) else ()
    for candidates in (by_type, *_USUAL_TARGETS):
        present = tuple(target for target in candidates if any(matches(s.name, target) for s in layers))
        if present:
            return present
    return (ALL_LINEAR,)


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, (nn.Linear, Conv1D))


def _shape(name: str, module: Any) -> Shape:
    parent, _, leaf = name.rpartition(".")
    sisters = next((names for names in _SAME_INPUT if leaf in names), None)
    conv1d = isinstance(module, Conv1D)
    d_out, d_in = (module.nf, module.nx) if conv1d else (module.out_features, module.in_features)
    return Shape(
        name,
        d_out,
        d_in,
        bias=module.bias is not None,
        source=f"{parent}: {', '.join(sorted(sisters))}" if sisters else "",
        conv1d=conv1d,
    )
