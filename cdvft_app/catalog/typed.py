"""Models and data that a person types in: by a hub id, or a model by a folder of this machine."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from cdvft_app.catalog.entries import DatasetEntry, Kind, ModelEntry
from cdvft_app.public.mode import mode
from cdvft_app.settings import InvalidChoice

# Of models of which only the name is known.
_TARGETS: Mapping[Kind, tuple[str, ...]] = {
    "text": ("query", "value"),
    "image": ("attn.qkv",),
    "generation": ("q_proj", "v_proj"),
}
POOLING: Mapping[Kind, Literal["mean", "timm", "none"]] = {
    "text": "mean",
    "image": "timm",
    "generation": "none",
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_REMEMBERED = 64
_described: OrderedDict[tuple[str, Kind], ModelEntry] = OrderedDict()


def hub_ids_allowed() -> bool:
    """Whether ids and folders may be typed in: on a person's own machine, not on a public server."""
    return not mode().public


def remember(kind: Kind, entry: ModelEntry) -> None:
    """Let `model` know what was read in the configuration of a model that was typed in for a kind of data."""
    _described[entry.key, kind] = entry
    while len(_described) > _REMEMBERED:
        _described.popitem(last=False)


def model(key: str, kind: Kind) -> ModelEntry:
    """By what was typed in; `InvalidChoice` if it can be neither a hub id nor a folder with a model."""
    folder = _folder(key) if hub_ids_allowed() else None
    if folder is None:
        _check_hub_id("model", key)
    if (key, kind) in _described:
        return _described[key, kind]
    return ModelEntry(
        key=key,
        title=key,
        kind=kind,
        source="local" if folder else "hub",
        location=str(folder or key),
        revision=None if folder else "main",
        layers=(),
        default_targets=_TARGETS[kind],
        pooling=POOLING[kind],
        hidden_size=None,
        image_size=None,
        parameters=None,
        licence="see its folder" if folder else "see its card",
    )


def dataset(key: str, kind: Kind) -> DatasetEntry:
    """By its hub id; `InvalidChoice` if it can be none."""
    _check_hub_id("dataset", key)
    return DatasetEntry(
        key=key,
        title=key,
        kind=kind,
        source="hub",
        location=key,
        config=None,
        revision="main",
        text_columns=(),
        label_column=None,
        labels=(),
        metric="chrf" if kind == "generation" else "accuracy",
        train_split="train",
        evaluation_split=None,
        licence="see its card",
    )


def _folder(key: str) -> Path | None:
    """The folder of a model on this machine; None for what is no whole path."""
    if not key.startswith(("/", "~/")):
        return None
    path = Path(key).expanduser()
    if not (path / "config.json").is_file() or not any(path.glob("*.safetensors")):
        raise InvalidChoice(
            f"Model {key!r} is not a hub id, nor a folder with a config.json and weights as safetensors."
        )
    return path


def _check_hub_id(what: str, key: str) -> None:
    if not hub_ids_allowed():
        raise InvalidChoice(
            f"{what.capitalize()} {key!r} is not in the catalogue, and on a public server ids cannot be "
            "typed in. Choose one from the list, or run the app on your own machine."
        )
    if not _HUB_ID.fullmatch(key) or ".." in key or "--" in key:
        raise InvalidChoice(f"{what.capitalize()} {key!r} is not a hub id; it must look like owner/name.")
