"""Catalogue entries of models and datasets given by a hub id, and of models given by a local folder."""

from __future__ import annotations

import dataclasses
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from cdvft_app.catalog.entries import DEFAULT_TARGETS, POOLING, DatasetEntry, Kind, ModelEntry
from cdvft_app.settings import InvalidChoice, RunSettings
from cdvft_app.settings.environment import environment

# A hub id of each kind: older names go without an owner, and timm's without "timm/".
EXAMPLES: Mapping[Kind, str] = {
    "text": "google-bert/bert-base-uncased",
    "image": "timm/convnext_tiny.fb_in22k",
    "generation": "HuggingFaceTB/SmolLM2-135M",
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_REMEMBERED = 64
_described: OrderedDict[tuple[str, Kind], ModelEntry] = OrderedDict()


def hub_ids_allowed() -> bool:
    """Whether hub ids and local folders are accepted: on a person's own machine, not on a public server."""
    return not environment().public


def remember(kind: Kind, entry: ModelEntry) -> None:
    """Let `model_entry` give this entry for its id, with what its configuration says."""
    _described[entry.key, kind] = entry
    while len(_described) > _REMEMBERED:
        _described.popitem(last=False)


def model_entry(key: str, kind: Kind) -> ModelEntry:
    """The entry of a hub id or a local folder; `InvalidChoice` if `key` can be neither."""
    folder = _folder(key) if hub_ids_allowed() else None
    if folder is None:
        _check_hub_id("model", key, EXAMPLES[kind])
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
        default_targets=DEFAULT_TARGETS[kind],
        pooling=POOLING[kind],
        licence="see its folder" if folder else "see its card",
    )


def dataset_entry(key: str, kind: Kind) -> DatasetEntry:
    """The entry of a hub id; `InvalidChoice` if `key` can be none."""
    _check_hub_id("dataset", key)
    return DatasetEntry(
        key=key,
        title=key,
        kind=kind,
        location=key,
        revision="main",
        metric="chrf" if kind == "generation" else "accuracy",
        licence="see its card",
    )


# Settings that say which part of a dataset of the hub is read, and as of when.
HUB_DATASET_FIELDS = ("dataset_config", "train_split", "evaluation_split", "dataset_revision")


def with_dataset_fields(entry: DatasetEntry, settings: RunSettings) -> DatasetEntry:
    """The dataset with the config, splits and revision that the settings name.

    Raises:
        InvalidChoice: it is one of the catalogue, which has its own; or one split is named twice.
    """
    named = {name: value for name in HUB_DATASET_FIELDS if (value := getattr(settings, name)) is not None}
    if not named:
        return entry
    if "/" not in entry.key:
        raise InvalidChoice(
            f"{next(iter(named))}: got {next(iter(named.values()))!r}; {entry.title} has its own. It can be "
            "given for a dataset that is named by its hub id."
        )
    train = settings.train_split or entry.train_split
    if train == settings.evaluation_split:
        raise InvalidChoice(
            f"evaluation_split: got {train!r}, which is trained on; name another one, or leave it out."
        )
    return dataclasses.replace(
        entry,
        config=settings.dataset_config,
        train_split=train,
        evaluation_split=settings.evaluation_split,
        revision=settings.dataset_revision or entry.revision,
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


def _check_hub_id(what: str, key: str, example: str = "") -> None:
    if not hub_ids_allowed():
        raise InvalidChoice(
            f"{what.capitalize()} {key!r} is not in the catalogue, and on a public server ids cannot be "
            "typed in. Choose one from the list, or run the app on your own machine."
        )
    if not _HUB_ID.fullmatch(key) or ".." in key or "--" in key:
        such = f", such as {example}" if example else ""
        raise InvalidChoice(
            f"{what.capitalize()} {key!r} is not a hub id; it must look like owner/name{such}."
        )
