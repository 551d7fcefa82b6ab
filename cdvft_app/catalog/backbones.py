"""Load a backbone, without a head, and what its inputs need. Weights come from safetensors only."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdvft_app.catalog.download import DownloadFailed, Progress, ShouldStop, never, silent
from cdvft_app.catalog.entries import ModelEntry
from cdvft_app.catalog.sources import files_of

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class TextBackbone:
    """A transformers encoder and its tokenizer; `commit` of the hub, where it came from there."""

    model: nn.Module
    tokenizer: Any
    commit: str | None


@dataclass(frozen=True)
class ImageBackbone:
    """A timm model that gives features (B, d); `mean` and `std` normalise its inputs in 0..1 by channel.

    `is_sized`: it was built for one size of images, timm's `img_size`; others take any.
    """

    model: nn.Module
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    commit: str | None
    is_sized: bool = True


def load_text_backbone(
    entry: ModelEntry, progress: Progress = silent, should_stop: ShouldStop = never
) -> TextBackbone:
    """The entry's transformers model in float32, without a pooler, and its tokenizer.

    Raises:
        DownloadFailed: it could not be had or loaded; says why and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    source = files_of(entry, progress, should_stop)
    progress(None, f"Loading {entry.title}")
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source.folder, local_files_only=True, trust_remote_code=False
        )
        model, found = AutoModel.from_pretrained(
            source.folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
        refuse_gaps(name for name in found["missing_keys"] if not name.startswith("pooler."))
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        raise unreadable(entry, error) from error
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # no head here reads it, and unused parameters upset data-parallel training
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
        model.config.pad_token_id = tokenizer.pad_token_id
    return TextBackbone(model, tokenizer, source.commit)


def load_image_backbone(
    entry: ModelEntry, image_size: int, progress: Progress = silent, should_stop: ShouldStop = never
) -> ImageBackbone:
    """The entry's timm model for square images of `image_size` pixels, its position table resampled to them.

    Raises:
        DownloadFailed: it could not be had or loaded; says why and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    source = files_of(entry, progress, should_stop)
    progress(None, f"Loading {entry.title}")
    import timm
    import timm.data
    from safetensors import SafetensorError, safe_open

    settings = _timm_settings(source.folder)
    architecture = entry.architecture or settings.get("architecture")
    if not architecture:
        raise DownloadFailed(
            f"{entry.title} is not a timm model. Choose one whose id begins with timm/, such as "
            "timm/vit_small_patch16_224.augreg_in21k."
        )
    weights = str(source.folder / "model.safetensors")
    known = timm.get_pretrained_cfg(architecture)
    is_sized = known is None or bool(known.fixed_input_size)
    try:
        size: dict[str, Any] = {"img_size": image_size} if is_sized else {}
        model: Any = timm.create_model(
            architecture,
            pretrained=True,
            pretrained_cfg_overlay={"file": weights},
            num_classes=0,
            **size,
        )
        with safe_open(weights, framework="pt") as opened:
            refuse_gaps(model.state_dict().keys() - opened.keys())
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AssertionError, SafetensorError) as error:
        raise unreadable(entry, error) from error
    if not isinstance(model.pretrained_cfg.get("classifier"), str):  # such as DeiT's distilled ones
        raise DownloadFailed(
            f"{entry.title} has not one classifier, in whose place a head could be put. Choose another model."
        )
    usual = timm.data.resolve_data_config(settings.get("pretrained_cfg", {}), model=model)
    return ImageBackbone(model, tuple(usual["mean"]), tuple(usual["std"]), source.commit, is_sized)


def refuse_gaps(lacking: Iterable[str]) -> None:
    """ValueError for parameters without weights: both libraries would start them at random and only warn."""
    names = sorted(lacking)
    if names:
        raise ValueError(f"its weights lack {', '.join(names[:5])}")


def _timm_settings(folder: Path) -> dict[str, Any]:
    try:
        settings = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}


def unreadable(entry: ModelEntry, error: Exception) -> DownloadFailed:
    message = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return DownloadFailed(f"{entry.title} could not be loaded: {message[:300]}")
