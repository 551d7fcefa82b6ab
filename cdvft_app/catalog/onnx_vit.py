"""Read a DINOv2-style ViT out of an ONNX graph into timm's parameter names.

The graph comes from transformers' Dinov2Model. Most parameters kept their names; two kinds did not. Constant
folding left the weight of each linear layer anonymous and transposed (d_in, d_out), as the second input of a
MatMul whose result meets the layer's named bias in an Add; and it split the position table into the class
token's row and the patches' rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_POSITION_TABLE = ("onnx::Concat_1957", "onnx::Reshape_1962")  # (1, 1, d) and (1, patches, d)

_RENAMED = {
    "embeddings.cls_token": "cls_token",
    "embeddings.patch_embeddings.projection": "patch_embed.proj",
    "layernorm": "norm",
    "attention.output.dense": "attn.proj",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
}


def timm_name(name: str) -> str:
    """Return timm's name: "encoder.layer.3.layer_scale1.lambda1" -> "blocks.3.ls1.gamma"."""
    name = re.sub(r"^encoder\.layer\.(\d+)\.", r"blocks.\1.", name)
    for old, new in _RENAMED.items():
        name = re.sub(rf"(^|\.){re.escape(old)}(?=\.|$)", rf"\g<1>{new}", name)
    return name


def join_query_key_value(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Stack q, k and v of each block, in that order, into the one `attn.qkv` that timm has."""
    import numpy as np

    joined = {name: value for name, value in weights.items() if ".attention.attention." not in name}
    for name in weights:
        found = re.fullmatch(r"(blocks\.\d+)\.attention\.attention\.query\.(weight|bias)", name)
        if found:
            block, kind = found.groups()
            parts = [
                weights[f"{block}.attention.attention.{part}.{kind}"] for part in ("query", "key", "value")
            ]
            joined[f"{block}.attn.qkv.{kind}"] = np.concatenate(parts)
    return joined


def read_backbone(onnx_bytes: bytes) -> dict[str, np.ndarray]:
    """Return the parameters in timm's names and layout, float32; KeyError if the graph is another one."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_model_from_string(onnx_bytes).graph
    values = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    weights = {
        timm_name(name.removeprefix("backbone.")): value
        for name, value in values.items()
        if name.startswith("backbone.")
    }
    products = {node.output[0]: node.input[1] for node in graph.node if node.op_type == "MatMul"}
    for node in graph.node:
        if node.op_type != "Add":
            continue
        bias = next(
            (name for name in node.input if name.startswith("backbone.") and name.endswith(".bias")), None
        )
        weight = next((products[name] for name in node.input if name in products), None)
        if bias and weight:
            owner = timm_name(bias.removeprefix("backbone.").removesuffix(".bias"))
            weights[f"{owner}.weight"] = values[weight].T  # (d_in, d_out) -> (d_out, d_in)
    weights["pos_embed"] = np.concatenate([values[name] for name in _POSITION_TABLE], axis=1)
    return {name: np.ascontiguousarray(value) for name, value in join_query_key_value(weights).items()}


def convert(onnx_bytes: bytes, target: Path) -> None:
    """Write the backbone of the ONNX graph as a safetensors file."""
    from safetensors.numpy import save_file

    save_file(read_backbone(onnx_bytes), target)
