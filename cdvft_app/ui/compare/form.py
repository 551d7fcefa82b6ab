"""The controls of the Compare tab as data: their names, words and starting values, and their request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cdvft_app import ASSETS
from cdvft_app.costs.request import GPUS, HERE, PRECISIONS, CostRequest
from cdvft_app.costs.table import usual_sequence
from cdvft_app.methods import METHODS, InvalidChoice
from cdvft_app.methods.flat import FLAT
from cdvft_app.settings import form_fields, typed_number
from cdvft_app.shapes import ALL_LINEAR, ModelShapes, model_shapes
from cdvft_app.ui.shared.form import METHOD_SETTINGS

COSTS = ASSETS / "costs.json"  # written by benchmarks/record_costs.py

COUNTED = tuple(name for name, one in METHOD_SETTINGS.items() if one.size or one.is_text)
"""The methods' settings that decide how many numbers are trained: sizes, and texts with ranks of layers."""
TYPED = (*COUNTED, "batch", "sequence", "image_size")
CHOICES = ("device", "precision", "aim")
FIELDS = ("model", "targets", "methods", *TYPED, "match", "convention", *CHOICES, "gradient_checkpointing")
START: dict[str, Any] = {
    "model": "FacebookAI/roberta-base",
    "targets": ["query", "value"],
    "methods": ["cdvft", "lora", "fourierft", "c3a"],
    **{name: METHOD_SETTINGS[name].default for name in COUNTED},
    "batch": 16,
    "sequence": 128,
    "match": "",
    "convention": "real_fft",
    "device": HERE,
    "precision": "float32",
    "aim": "quality",
    "gradient_checkpointing": False,
}


def _hint(name: str) -> str:
    """Return the hint of a setting: its method, the value of an empty field, and how a text is written."""
    one, title = METHOD_SETTINGS[name], METHODS[FLAT[name][0]].title
    if one.is_text:
        return f"{title}. {one.hint} Empty: {one.empty}."
    return f"{title}." if one.default is not None else f"{title}. Empty: {one.empty}."


# Label and hint of each control; of those of the request only what is no matter of course has a hint.
WORDS: dict[str, tuple[str, str | None]] = {
    **{
        name: (one.title, one.hint if name in ("match", "convention") else None)
        for name, one in form_fields(CostRequest).items()
    },
    **{name: (METHOD_SETTINGS[name].label, _hint(name)) for name in COUNTED},
}
LABELS = {name: label for name, (label, _) in WORDS.items()}
MATCHES = [
    ("nothing", ""),
    ("equal parameters", "trainable_parameters"),
    ("equal FLOPs", "flops_per_step"),
    ("equal seconds", "seconds_per_step"),
]
DEVICES = [("this one", HERE), *((gpu.title, gpu.key) for gpu in GPUS)]
PRECISION_CHOICES = [(one.title, key) for key, one in PRECISIONS.items()]
AIMS = [
    ("quality", "quality"),
    ("a small file", "file"),
    ("little memory", "memory"),
    ("short steps", "time"),
    ("many adapters at once", "many"),
]
CONVENTIONS = [("as it runs", "real_fft"), ("as in papers", "asymptotic")]


@lru_cache(maxsize=1)
def recorded_costs() -> dict[str, Any]:
    """{"models", "first", "paper"}: known models, the first comparison, the paper's figures."""
    return json.loads(COSTS.read_text(encoding="utf-8"))


def cost_request(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the controls' values as those of a `CostRequest`, which has defaults for empty fields."""
    parsed = {name: typed_number(value) if name in TYPED else value for name, value in values.items()}
    filled_in = {
        name: value for name, value in parsed.items() if value not in (None, "", []) and value is not False
    }
    return filled_in | {"methods": [name for name in METHODS if name in (parsed.get("methods") or ())]}


def without_stale_layers(values: Mapping[str, Any], filled_for: object) -> dict[str, Any]:
    """The values without layers and sizes of the model before, whose fields the new one has not filled yet.

    `filled_for` is a list of the model that the fields were last filled for, as the browser sends it.
    """
    if filled_for == [values.get("model") or ""]:
        return {**values}
    return {**values, "targets": [], "sequence": "", "image_size": ""}


def model_choices() -> list[tuple[str, str]]:
    """Known models by their short names, with their size."""
    return [(f"{model['id'].split('/')[-1]} · {_size(model['parameters'])}", model["id"])
            for model in recorded_costs()["models"]]  # fmt: skip


def fields_of(model: str) -> dict[str, dict[str, Any]]:
    """Return the updates of the controls that depend on the model: layers, length, size of images.

    None of those that are shown is empty. A model that is not among the known ones is looked up; where that
    fails, which the answer says, all linear layers and the usual length stand there.
    """
    known = next((entry for entry in recorded_costs()["models"] if entry["id"] == model), None) or _looked_up(
        model
    )
    usual = [] if known["usual"] == [ALL_LINEAR] else known["usual"]
    names = [*dict.fromkeys([*usual, *known["targets"]])]
    covered = {name for name in names for one in usual if name.endswith(f".{one}")}
    choices = [(name, name) for name in names if name not in covered]
    of_step = {
        name: {"value": "" if known[name] is None else str(known[name]), "visible": known[name] is not None}
        for name in ("sequence", "image_size")
    }
    layers = {"choices": [*choices, ("all linear layers", ALL_LINEAR)], "value": known["usual"]}
    return {"targets": layers, **of_step}


def _looked_up(model: str) -> dict[str, Any]:
    try:
        shapes = model_shapes(model)
    except InvalidChoice:
        return {"targets": [], "usual": [ALL_LINEAR], "sequence": START["sequence"], "image_size": None}
    return model_entry(shapes)


def model_entry(shapes: ModelShapes) -> dict[str, Any]:
    """Return a model whose dimensions are known, with the choices of its controls."""
    return {
        "id": shapes.name,
        "kind": shapes.kind,
        "parameters": shapes.total_parameters,
        "targets": list(shapes.target_names()),
        "usual": list(shapes.default_targets),
        "sequence": None if shapes.image_size else usual_sequence(shapes),
        "image_size": shapes.image_size,
    }


def _size(parameters: int) -> str:
    return f"{parameters / 1e9:.1f} B" if parameters >= 1e9 else f"{parameters / 1e6:.0f} M"
