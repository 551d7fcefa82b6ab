"""What the layers of a pretrained model receive for recorded examples, and how large its weights are.

Both depend on the pretrained model alone, so recorded sentences serve every run of that model without loading
it; an image is that of the recorded run.

<model>.inputs.json has {"weights": {module: Frobenius norm}, "examples": [{"text",
"tokens", "inputs": {module: key}, "outputs": {module: norms}}]}, and for a vision model {"images": what
`frozen.images` gave, "patches": {"tokens", "outputs": {module: norms}}}; the arrays (tokens, d_in) are in
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
    return _recording(source)["weights"]


def texts(source: Source, module: str) -> list[str]:
    """Return the recorded sentences for which this module's input is recorded."""
    return [example["text"] for example in _recording(source)["examples"] if module in example["inputs"]]


def inputs(source: Source, module: str, text: object) -> LayerInputs:
    """Return the module's input for a recorded sentence, in the form of `frozen.text_inputs`.

    Raises:
        Unavailable: that sentence is not recorded for that module.
    """
    for example in _recording(source)["examples"]:
        if example["text"] == text and module in example["inputs"]:
            x = _array(source, example["inputs"][module])
            return layer_inputs(example["tokens"], x, example["outputs"][module])
    raise Unavailable("This sentence is not recorded for this layer; choose another or type one.")


def images(source: RecordedRun) -> Images | None:
    """Return the recorded image of a recorded run, in the form of `frozen.images`; None for a run on text."""
    return _recording(source).get("images")


def patches(source: RecordedRun, module: str, index: object) -> LayerInputs | None:
    """Return the module's input for that image, in the form of `frozen.patch_inputs`; None if that is not
    recorded."""
    recording = _recording(source).get("patches")
    if recording is None or type(index) is not int or index != 0 or module not in recording["outputs"]:
        return None
    return layer_inputs(recording["tokens"], _array(source, module), recording["outputs"][module])


def layer_inputs(tokens: list[str], x: np.ndarray, output_norms: list[float]) -> LayerInputs:
    """Return {"tokens", "width", "data": base64 of float32 (tokens, width), "output_norms": of W x + b by
    token}."""
    return {
        "tokens": tokens,
        "width": x.shape[1],
        "data": base64.b64encode(np.ascontiguousarray(x, dtype="<f4").tobytes()).decode(),
        "output_norms": output_norms,
    }


def _array(source: Source, key: str) -> np.ndarray:
    with safe_open(RECORDED / f"{source.settings.model}.inputs.safetensors", framework="numpy") as arrays:
        return arrays.get_tensor(key)


def _recording(source: Source) -> dict[str, Any]:
    model = source.settings.model
    return _read(model) if model in MODELS else {"weights": {}, "examples": []}


@lru_cache
def _read(model: str) -> dict[str, Any]:
    return json.loads((RECORDED / f"{model}.inputs.json").read_text(encoding="utf-8"))
