"""What the layers of a pretrained model receive for recorded examples, and how large its weights are.

It belongs to the model alone, so sentences serve every run of that model, with nothing to load; an image is
that of the recorded run. <model>.inputs.json has {"weights": {module: Frobenius norm}, "examples": [{"text",
"tokens", "inputs": {module: key}, "outputs": {module: norms}}]}, and for a vision model {"images": what
`patches.images` gave, "patches": {"tokens", "outputs": {module: norms}}}; the arrays (tokens, d_in) are in
<model>.inputs.safetensors, in float16, an image's under the names of the modules.
"""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from typing import Any

import numpy as np
from safetensors import safe_open

from cdvft_app.inspection.sources import RECORDED, RecordedRun, Source, Unavailable
from cdvft_app.payloads.factors import Images, LayerInputs

MODELS = ("minilm", "vit_small")


def weight_norms(source: Source) -> dict[str, float]:
    """||W||_F of the recorded modules of the run's model; empty for a model that is not recorded."""
    return _known(source)["weights"]


def texts(source: Source, module: str) -> list[str]:
    """The recorded sentences that say what this module receives."""
    return [example["text"] for example in _known(source)["examples"] if module in example["inputs"]]


def inputs(source: Source, module: str, text: object) -> LayerInputs:
    """What the module receives for a recorded sentence, as `typed.inputs` gives it.

    Raises:
        Unavailable: that sentence is not recorded for that module.
    """
    for example in _known(source)["examples"]:
        if example["text"] == text and module in example["inputs"]:
            x = _array(source, example["inputs"][module])
            return packed(example["tokens"], x, example["outputs"][module])
    raise Unavailable("This sentence is not recorded for this layer; choose another or type one.")


def images(source: RecordedRun) -> Images | None:
    """The recorded image of a recorded run, as `patches.images` gives several; None for a run on text."""
    return _known(source).get("images")


def patches(source: RecordedRun, module: str, place: object) -> LayerInputs | None:
    """What the module receives for that image, as `patches.inputs` gives it; None if that is not recorded."""
    known = _known(source).get("patches")
    if known is None or type(place) is not int or place != 0 or module not in known["outputs"]:
        return None
    return packed(known["tokens"], _array(source, module), known["outputs"][module])


def packed(tokens: list[str], x: np.ndarray, output_norms: list[float]) -> LayerInputs:
    """{"tokens", "width", "data": base64 of float32 (tokens, width), "output_norms": of W x + b by token}."""
    return {
        "tokens": tokens,
        "width": x.shape[1],
        "data": base64.b64encode(np.ascontiguousarray(x, dtype="<f4").tobytes()).decode(),
        "output_norms": output_norms,
    }


def _array(source: Source, key: str) -> np.ndarray:
    with safe_open(RECORDED / f"{source.settings.model}.inputs.safetensors", framework="numpy") as arrays:
        return arrays.get_tensor(key)


def _known(source: Source) -> dict[str, Any]:
    model = source.settings.model
    return _read(model) if model in MODELS else {"weights": {}, "examples": []}


@lru_cache
def _read(model: str) -> dict[str, Any]:
    return json.loads((RECORDED / f"{model}.inputs.json").read_text(encoding="utf-8"))
