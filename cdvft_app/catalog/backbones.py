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
    """A transformers encoder or decoder and its tokenizer; `commit` of the hub, where it came from there."""

    model: nn.Module
    tokenizer: Any
    commit: str | None


@dataclass(frozen=True)
class ImageBackbone:
    """A timm model that gives features (B, d); `mean` and `std` normalise its inputs in 0..1 by channel."""

    model: nn.Module
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    commit: str | None


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
        _refuse_gaps(name for name in found["missing_keys"] if not name.startswith("pooler."))
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        raise _unreadable(entry, error) from error
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # no head here reads it, and unused parameters upset data-parallel training
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
        model.config.pad_token_id = tokenizer.pad_token_id
    return TextBackbone(model, tokenizer, source.commit)


def load_language_model(
    entry: ModelEntry, progress: Progress = silent, should_stop: ShouldStop = never
) -> TextBackbone:
    """The entry's causal language model in float32, whole, and its tokenizer.

    Raises:
        DownloadFailed: it could not be had or loaded, or is none; says why and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    source = files_of(entry, progress, should_stop)
    progress(None, f"Loading {entry.title}")
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    given: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(source.folder, **given)
        if not any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in config.architectures or ()):
            kinds = ", ".join(config.architectures or ()) or config.model_type
            raise DownloadFailed(
                f"{entry.title} is a {kinds}, which does not write text. "
                "Choose a causal language model, such as Qwen/Qwen2.5-0.5B."
            )
        tokenizer = AutoTokenizer.from_pretrained(source.folder, **given)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source.folder,
            config=config,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            **given,
        )
        model, found = loaded
        _refuse_gaps(found["missing_keys"])
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        raise _unreadable(entry, error) from error
    if tokenizer.eos_token is None:
        raise DownloadFailed(f"{entry.title} has no token that ends a text, so it cannot learn to stop.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
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
    try:
        model = timm.create_model(
            architecture,
            pretrained=True,
            pretrained_cfg_overlay={"file": weights},
            num_classes=0,
            img_size=image_size,
        )
        with safe_open(weights, framework="pt") as opened:
            _refuse_gaps(model.state_dict().keys() - opened.keys())
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AssertionError, SafetensorError) as error:
        raise _unreadable(entry, error) from error
    usual = timm.data.resolve_data_config(settings.get("pretrained_cfg", {}), model=model)
    return ImageBackbone(model, tuple(usual["mean"]), tuple(usual["std"]), source.commit)


def _refuse_gaps(lacking: Iterable[str]) -> None:
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


def _unreadable(entry: ModelEntry, error: Exception) -> DownloadFailed:
    said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return DownloadFailed(f"{entry.title} could not be loaded: {said[:300]}")
