"""Getting at what adapters learned: the vectors of CDVFT, and the weight updates of every method."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import peft  # noqa: F401 - whole, before its parts: another thread may still be importing it
import torch
from peft.tuners.fourierft import FourierFTLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from cdvft.blocks import partition
from cdvft.config import CDVFTConfig
from cdvft.layer import CDVFTLayer, Factors
from cdvft.targets import layer_config

_WRAPPER = "base_model.model."
_VECTOR = re.compile(r"(?P<layer>.+)\.cdvft_(?P<kind>diagonals|circulants)\.(?P<place>\d+)")
_STACKED = {"diagonals": 2, "circulants": 4}
"""Dimensions of experts' vectors."""


class WeightUpdate(NamedTuple):
    """One adapted layer: its name in the base model, alpha dW and the frozen W, both (d_out, d_in).

    Of a convolution d_in counts the entries of its kernels, too; a quantized W is dequantized. W is no copy
    where the base model stores it in float32 on the CPU.
    """

    layer: str
    delta: Tensor
    weight: Tensor


def factors(model: nn.Module, adapter: str = "default") -> dict[str, Factors]:
    """Copies of the vectors of a CDVFT adapter, by layer name in the base model, in model order.

    On the CPU, in float32 or wider. Layers alone: the stacks of experts, see `cdvft.experts`, are left out
    here and below.

    Raises:
        ValueError: if no layer has such a CDVFT adapter.
    """
    layers = {
        name.removeprefix(_WRAPPER): _copied(layer.factors(adapter))
        for name, layer in model.named_modules()
        if isinstance(layer, CDVFTLayer) and adapter in layer.cdvft_circulants and not layer.batch_shape
    }
    if not layers:
        raise ValueError(
            f"No layer of this model has a CDVFT adapter named {adapter!r}. Name one that was added, or make "
            "one with peft.get_peft_model and a CDVFTConfig."
        )
    return layers


def factors_from_folder(folder: str | Path) -> dict[str, Factors]:
    """Return the vectors of an adapter that `save_pretrained` wrote, by layer name, without its base model.

    Only adapter_config.json and adapter_model.safetensors are read. d_in, d_out and the blocks follow from
    the vectors' shapes, m and alpha from the configuration. In float32 or wider. Layers are sorted by name,
    numbers in it by value.

    Raises:
        ValueError: if the folder lacks one of the two files, or they do not hold a CDVFT adapter with
            vectors of its own for layers.
    """
    folder = Path(folder)
    for file in (CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME):
        if not (folder / file).is_file():
            raise ValueError(
                f"There is no {file} in {str(folder)!r}. Give a folder that save_pretrained wrote."
            )
    try:
        method = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))["peft_type"]
        tensors = load_file(folder / SAFETENSORS_WEIGHTS_NAME)
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ValueError(
            f"The adapter in {str(folder)!r} cannot be read ({error}). Save it again."
        ) from error
    if method != "CDVFT":
        raise ValueError(
            f"The adapter in {str(folder)!r} is of type {method!r}, but only CDVFT's hold circulants and "
            "diagonals. Load it with its base model and use weight_updates."
        )
    config = CDVFTConfig.from_pretrained(str(folder))
    vectors: dict[str, dict[str, dict[int, Tensor]]] = defaultdict(
        lambda: {"diagonals": {}, "circulants": {}}
    )
    for name, tensor in tensors.items():
        match = _VECTOR.fullmatch(name.removeprefix(_WRAPPER))
        if match and tensor.dim() != _STACKED[match["kind"]]:
            vectors[match["layer"]][match["kind"]][int(match["place"])] = _widened(tensor)
    if not vectors:
        experts = any(_VECTOR.fullmatch(name.removeprefix(_WRAPPER)) for name in tensors)
        what = (
            "vectors of experts alone, which are left out here. Give an adapter of layers."
            if experts
            else "no vectors of CDVFT. Save it again."
        )
        raise ValueError(f"The adapter in {str(folder)!r} holds {what}")
    return {
        layer: _assembled(layer, vectors[layer], config) for layer in sorted(vectors, key=_numbers_by_value)
    }


def weight_updates(model: nn.Module, adapter: str = "default") -> Iterator[WeightUpdate]:
    """Yield each layer's dW of an adapter, in float32 on the CPU: of any method but DoRA.

    dW is the matrix of PEFT's `get_delta_weight`, turned to
    (d_out, d_in) where the base stores transposes.

    Raises:
        ValueError: if no layer has a dW for that adapter, or if adapters are merged, so that W is not the
            frozen one.
        NotImplementedError: if W is quantized in a way that PEFT cannot undo, as by GPTQ, or the adapter is
            DoRA's, whose magnitudes PEFT's matrix leaves out.
    """
    if getattr(getattr(model, "peft_config", {}).get(adapter), "use_dora", False):
        raise NotImplementedError(
            f"{adapter!r} is an adapter of DoRA, whose magnitudes PEFT's get_delta_weight leaves out. Merge "
            "it into a copy of the model and subtract the frozen weights."
        )
    found = False
    for name, layer in model.named_modules():
        if not isinstance(layer, BaseTunerLayer) or not hasattr(layer, "get_delta_weight"):
            continue
        if isinstance(layer, CDVFTLayer):
            has = layer.has_adapter(adapter)
        else:
            has = any(adapter in getattr(layer, names) for names in layer.adapter_layer_names)
        if not has:
            continue
        if getattr(layer, "parameter_name", "weight") != "weight":
            continue
        if layer.merged:
            raise ValueError(f"Layer {name!r} has merged adapters. Call unmerge_adapter first.")
        found = True
        with torch.no_grad():
            delta = layer.get_delta_weight(adapter).float().cpu()
            weight = layer.get_base_weight().float().cpu()
        if isinstance(layer.get_base_layer(), Conv1D):
            weight = weight.T
            # FourierFT's matrix is (d_out, d_in) already, the others' is laid out as the base weight.
            delta = delta if isinstance(layer, FourierFTLayer) else delta.T
        yield WeightUpdate(name.removeprefix(_WRAPPER), delta.flatten(1), weight.flatten(1))
    if not found:
        raise ValueError(
            f"No layer of this model has an adapter named {adapter!r} with a weight update. Name one that "
            "was added."
        )


def _numbers_by_value(name: str) -> list[str | int]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _copied(layer: Factors) -> Factors:
    diagonals, circulants = (
        [_widened(vector.detach().to("cpu", copy=True)) for vector in vectors]
        for vectors in (layer.diagonals, layer.circulants)
    )
    return Factors(diagonals, circulants, layer.alpha)


def _widened(vector: Tensor) -> Tensor:
    """Return the vector in float32 or wider: torch decomposes and transforms nothing narrower on the CPU."""
    return vector.to(torch.promote_types(vector.dtype, torch.float32))


def _assembled(layer: str, vectors: dict[str, dict[int, Tensor]], config: CDVFTConfig) -> Factors:
    """Return one layer's vectors in order, once their number and shapes are known to make a product."""
    own = layer_config(config, layer)
    places = {kind: sorted(vectors[kind]) for kind in ("diagonals", "circulants")}
    diagonals, circulants = ([vectors[kind][place] for place in found] for kind, found in places.items())
    numbered = {"diagonals": list(range(own.m)), "circulants": list(range(own.m - 1))}
    if places != numbered or not all(
        c.dim() == 3 and c.shape == _expected_shape(c, before, after)
        for c, before, after in zip(circulants, diagonals[:-1], diagonals[1:], strict=True)
    ):
        shapes = {
            kind: {place: tuple(vectors[kind][place].shape) for place in places[kind]} for kind in places
        }
        raise ValueError(
            f"The vectors of layer {layer!r} do not make a product of m = {own.m} diagonals around "
            f"{own.m - 1} block circulants. Their shapes are {shapes}. Save the adapter again."
        )
    return Factors(diagonals, circulants, float(own.alpha))


def _expected_shape(c: Tensor, before: Tensor, after: Tensor) -> tuple[int, ...]:
    part = partition(after.numel(), before.numel(), c.shape[-1])
    return part.q1, part.q2, part.p
