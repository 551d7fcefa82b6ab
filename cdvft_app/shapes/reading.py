"""Reads a model's shapes from its architecture, without its weights."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers.activations import NewGELUActivation
from transformers.pytorch_utils import Conv1D

from cdvft.cost import Shape
from cdvft.targets import DEFAULT_TARGETS
from cdvft_app.shapes.architectures import build
from cdvft_app.shapes.model_shapes import ALL_LINEAR, ModelShapes, NotPlain, blocks, in_blocks, matches

_SAME_INPUT = (
    {"query", "key", "value"},
    {"q_proj", "k_proj", "v_proj"},
    {"q_lin", "k_lin", "v_lin"},
    {"query_proj", "key_proj", "value_proj"},
    {"gate_proj", "up_proj"},
)
"""Names of layers of one block that read the same tensor."""

_USUAL_TARGETS = (
    ("q_proj", "v_proj"),
    ("query", "value"),
    ("q_lin", "v_lin"),
    ("qkv",),
    ("query_key_value",),
    ("qkv_proj",),
    ("Wqkv",),
)
"""What is adapted by default where the tuner has no default: query and value, alone or fused."""

_FEWEST_LAYERS_A_BLOCK = 3
"""Projections of attention, alone or fused, and those of the multilayer perceptron."""

_KEPT_BY_NEW_GELU = 3
"""Of 0.5 x (1 + tanh(...)), operation by operation: the tangent, the first factor and the second."""

_POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert")
"""Model types whose first position number is the padding's plus one."""


def read_shapes(name: str, image_size: int | None) -> ModelShapes:
    """`cdvft_app.shapes.model_shapes` without its cache."""
    architecture = build(name, image_size)
    config = architecture.configuration
    layers = tuple(
        _shape(path, module) for path, module in architecture.model.named_modules() if _is_linear(module)
    )
    facts = (
        _timm_facts(architecture.model)
        if config is None
        else _transformers_facts(config, architecture.kind == "image")
    )
    depth = len(blocks(layers))
    if depth != facts["attention_layers"] or len(layers) < _FEWEST_LAYERS_A_BLOCK * depth:
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
        **facts,
    )


def _timm_facts(model: Any) -> dict[str, Any]:
    attention = model.blocks[0].attn
    head = getattr(attention, "head_dim", model.embed_dim // attention.num_heads)
    return {
        "hidden_size": model.embed_dim,
        "attention_layers": len(model.blocks),
        "attention_width": head * attention.num_heads,
        "tokens": model.patch_embed.num_patches + model.num_prefix_tokens,
        "longest": None,
    }


def _transformers_facts(config: Any, takes_images: bool) -> dict[str, Any]:
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    longest = getattr(config, "max_position_embeddings", None)
    if longest and config.model_type in _POSITIONS_AFTER_PADDING:
        longest -= config.pad_token_id + 1
    patches = (config.image_size // config.patch_size) ** 2 if takes_images else 0
    drops = getattr(config, "attention_probs_dropout_prob", 0) or getattr(config, "attn_pdrop", 0)
    depth, heads = config.num_hidden_layers, config.num_attention_heads
    return {
        "hidden_size": config.hidden_size,
        "attention_layers": depth,
        "attention_width": head * heads,
        "tokens": patches + 1 + getattr(config, "num_register_tokens", 0) if takes_images else None,
        "longest": None if takes_images or not longest or longest < 1 else longest,
        "scores": depth * heads if drops else 0,
        "dropped": 2 * depth * config.hidden_size if getattr(config, "hidden_dropout_prob", 0) else 0,
    }


def _default_targets(layers: tuple[Shape, ...], model_type: str | None) -> tuple[str, ...]:
    """Those that the tuner takes by default for the model type; else query and value by their usual names."""
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
