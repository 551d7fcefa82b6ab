"""Load pretrained models and what their inputs need: encoders, image models, causal language models.

Weights come from safetensors only. Of a language model what can be refused by its small files is refused
before its weights are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdvft_app.catalog.download import DownloadFailed, first_line
from cdvft_app.catalog.entries import ModelEntry
from cdvft_app.catalog.sources import files_of
from cdvft_app.progress import Progress, ShouldStop, never, silent

if TYPE_CHECKING:
    from torch import nn

BITSANDBYTES = "bitsandbytes>=0.48"  # for weights in 4 or 8 bits


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
    """Load the entry's transformers model in float32, without a pooler, and its tokenizer.

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
    """Load the entry's timm model for square images of `image_size` pixels; its position table is resampled.

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
    """Raise ValueError for parameters without weights: both libraries only warn and start at random."""
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
    return DownloadFailed(f"{entry.title} could not be loaded: {first_line(error)[:300]}")


# Causal language models

LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True)
class OpenedLanguageModel:
    """All but the weights. `context`: tokens that it takes, None: it does not say; `commit`: the hub's."""

    folder: Path
    config: Any
    tokenizer: Any
    context: int | None
    commit: str | None


def open_language_model(
    entry: ModelEntry,
    max_length: int | None = None,
    progress: Progress = silent,
    should_stop: ShouldStop = never,
) -> OpenedLanguageModel:
    """Load the entry's settings and tokenizer; its files are fetched first where they are not here.

    Raises:
        DownloadFailed: it could not be had or read, is no causal language model, has no end, or takes fewer
            than `max_length` tokens; says why and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    source = files_of(entry, progress, should_stop)
    progress(None, f"Opening {entry.title}")
    from transformers import AutoConfig, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(source.folder, **LOCAL)
        if not any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in config.architectures or ()):
            kinds = ", ".join(config.architectures or ()) or config.model_type
            raise DownloadFailed(
                f"{entry.title} is a {kinds}, which does not write text. "
                "Choose a causal language model, such as Qwen/Qwen2.5-0.5B."
            )
        tokenizer = AutoTokenizer.from_pretrained(source.folder, **LOCAL)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise unreadable(entry, error) from error
    if tokenizer.eos_token is None:
        raise DownloadFailed(
            f"{entry.title} has no token that ends a text, so it cannot learn to stop. Choose another model."
        )
    context = getattr(config, "max_position_embeddings", None)
    if context and max_length and max_length > context:
        raise DownloadFailed(
            f"max_length: got {max_length:,}; {entry.title} takes at most {context:,} tokens. Choose fewer."
        )
    return OpenedLanguageModel(source.folder, config, tokenizer, context, source.commit)


def load_language_model(
    entry: ModelEntry,
    opened: OpenedLanguageModel,
    progress: Progress = silent,
    *,
    bits: int | None = None,
    half: bool = False,
) -> nn.Module:
    """Load the weights in float32, in bfloat16 if `half`, or with linear layers in 8 or 4 `bits`.

    Raises:
        DownloadFailed: they could not be read, or nothing here can round them.
    """
    progress(None, f"Loading {entry.title}")
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    dtype = torch.bfloat16 if half else torch.float32
    more = {"quantization_config": _quantization(bits, dtype)} if bits in (4, 8) else {}
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            opened.folder,
            config=opened.config,
            use_safetensors=True,
            dtype=dtype,
            output_loading_info=True,
            **LOCAL,
            **more,
        )
        model, found = loaded
        refuse_gaps(found["missing_keys"])
        _keep_trainable(model)
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        raise unreadable(entry, error) from error
    return model


def _keep_trainable(model: nn.Module) -> None:
    """Keep weights of 4 bits from being packed by an evaluation on a CPU.

    From packed ones bitsandbytes brings no gradient back (it is 0 from then on), and says nothing.
    """
    layer: Any
    for layer in model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False


def missing_package(bits: int | None) -> str | None:
    """Return a sentence on the missing package that weights of so many bits need; None where it is there."""
    other = ' (or "torchao")' if bits == 8 else ""
    if bits not in (4, 8) or find_spec("bitsandbytes") or (other and find_spec("torchao")):
        return None
    return (
        f'Weights in {bits} bits need bitsandbytes: pip install "{BITSANDBYTES}"{other}, or leave bits empty.'
    )


def _quantization(bits: int | None, dtype: Any) -> Any:
    """Return the quantization config: bitsandbytes' on CUDA and CPUs; without it torchao's for 8 bits.

    torchao's 4 bits bring no gradient back on a CPU, and need a library of kernels of their own.
    """
    import torch
    from transformers import BitsAndBytesConfig, TorchAoConfig

    if torch.backends.mps.is_available():
        raise DownloadFailed(f"Apple GPUs have no weights in {bits} bits yet. Leave bits empty.")
    if find_spec("bitsandbytes") is None and missing_package(bits) is None:
        from torchao.quantization import Int8WeightOnlyConfig

        return TorchAoConfig(Int8WeightOnlyConfig())
    if missing := missing_package(bits):
        raise DownloadFailed(missing)
    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
