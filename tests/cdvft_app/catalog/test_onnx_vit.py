"""A timm ViT, written as the kind of ONNX graph that the converter reads, comes back as it was."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from onnx import TensorProto, helper, numpy_helper

from cdvft_app.catalog.offline import read_onnx_vit

LAYER = "encoder.layer.{}."
DINOV2_NAMES = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "ls1.gamma": "layer_scale1.lambda1",
    "ls2.gamma": "layer_scale2.lambda1",
}


def write_graph(weights: dict[str, np.ndarray]) -> bytes:
    """Named vectors, anonymous transposed matrices that meet their bias in an Add, a split position table."""
    tensors: dict[str, np.ndarray] = {}
    nodes = []

    def linear(name: str, weight: np.ndarray, bias: np.ndarray) -> None:
        number = 2000 + len(nodes)
        tensors[f"onnx::MatMul_{number}"] = weight.T
        tensors[f"{name}.bias"] = bias
        nodes.append(helper.make_node("MatMul", ["x", f"onnx::MatMul_{number}"], [f"product_{number}"]))
        inputs = [f"{name}.bias", f"product_{number}"]
        nodes.append(helper.make_node("Add", inputs if number % 4 else inputs[::-1], [f"sum_{number}"]))

    for name, value in weights.items():
        if name == "pos_embed":
            tensors["onnx::Concat_1957"], tensors["onnx::Reshape_1962"] = value[:, :1], value[:, 1:]
        elif name == "cls_token":
            tensors["backbone.embeddings.cls_token"] = value
        elif name.startswith("patch_embed"):
            tensors[name.replace("patch_embed.proj", "backbone.embeddings.patch_embeddings.projection")] = (
                value
            )
        elif name.startswith("norm."):
            tensors[name.replace("norm.", "backbone.layernorm.")] = value
        elif name.endswith(".attn.qkv.weight"):
            block = f"backbone.{LAYER.format(name.split('.')[1])}attention.attention."
            biases = np.split(weights[name.replace("weight", "bias")], 3)
            for part, matrix, bias in zip(("query", "key", "value"), np.split(value, 3), biases, strict=True):
                linear(block + part, matrix, bias)
        elif not name.endswith(".attn.qkv.bias"):
            _, number, rest = name.split(".", 2)
            owner, _, kind = rest.rpartition(".") if "gamma" not in rest else (rest, "", "")
            target = f"backbone.{LAYER.format(number)}{DINOV2_NAMES[owner]}"
            if kind == "weight" and value.ndim == 2:
                linear(target, value, weights[name.replace("weight", "bias")])
            elif f"{target}.{kind}".rstrip(".") not in tensors:
                tensors[f"{target}.{kind}".rstrip(".")] = value
    tensors["decoder.upconv1.weight"] = np.zeros((2, 2), np.float32)  # not the backbone's
    graph = helper.make_graph(
        nodes,
        "vit",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in tensors.items()],
    )
    return helper.make_model(graph).SerializeToString()


def test_round_trip() -> None:
    torch.manual_seed(0)
    model = timm.create_model(
        "vit_small_patch14_dinov2", num_classes=0, img_size=28, depth=11, embed_dim=12, num_heads=2
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    graph = write_graph({name: value.numpy() for name, value in before.items()})
    after = {name: torch.from_numpy(value) for name, value in read_onnx_vit(graph).items()}
    model.load_state_dict(after, strict=True)
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_another_graph_is_refused() -> None:
    graph = helper.make_model(helper.make_graph([], "empty", [], [], []))
    with pytest.raises(KeyError, match="onnx::Concat_1957"):
        read_onnx_vit(graph.SerializeToString())
