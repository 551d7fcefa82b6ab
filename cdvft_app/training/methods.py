"""From a method's name to what is trained: a PEFT adapter, the head alone, or everything.

Every method trains the classifier head too; the head is built before the method, so that all methods of a
race start from the same one. Adapters are PEFT's own; all of them start at, or next to, the pretrained model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import C3AConfig, FourierFTConfig, LoraConfig, PeftConfig, PeftModel, get_peft_model
from peft.tuners.c3a.layer import C3ALayer
from peft.tuners.fourierft.layer import FourierFTLayer
from peft.tuners.lora.layer import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import load_peft_weights, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

from cdvft import CDVFTConfig
from cdvft.layer import CDVFTLayer
from cdvft_app.events import TrainingFailed
from cdvft_app.settings import RunSettings

WEIGHTS = "model.safetensors"
"""The file that `head` and `full` keep; adapters keep PEFT's own files."""


def peft_config(settings: RunSettings, head: str, **more: Any) -> PeftConfig:
    """PEFT's settings of a method, with its own start. `settings` are complete, as a plan holds them."""
    more |= {"target_modules": set(settings.target_modules or ()), "modules_to_save": [head]}
    if settings.method == "cdvft":
        return CDVFTConfig(
            m=settings.m,
            alpha=settings.alpha,
            block_size=settings.block_size,
            init_weights=settings.init_weights,
            **more,
        )
    if settings.method == "lora":
        # alpha = r makes the scale 1 at every rank, so that the learning rate alone sets the pace.
        return LoraConfig(r=settings.lora_r, lora_alpha=settings.lora_r, **more)
    if settings.method == "fourierft":
        # Coefficients from zero, as PEFT offers: its other start, N(0, 1) times a scaling that was chosen for
        # wider layers, spoils a small model before the first step (benchmarks/results/learning_rates.json).
        return FourierFTConfig(
            n_frequency=settings.fourierft_n,
            scaling=settings.fourierft_scaling,
            init_weights=True,
            **more,
        )
    if settings.method == "c3a" and settings.c3a_block_size:
        return C3AConfig(block_size=settings.c3a_block_size, **more)
    raise ValueError(
        f"{settings.method!r} has no adapter; those with one are cdvft, lora, fourierft and c3a."
    )


def build(settings: RunSettings, model: nn.Module, head: str) -> nn.Module:
    """`model` with what `settings.method` trains set to require gradients, and the rest frozen.

    Args:
        settings: complete settings, as a plan holds them.
        model: backbone and head.
        head: name of the head's module in `model`.

    Returns:
        A `PeftModel` for an adapter; the same model for `head` and `full`.

    Raises:
        TrainingFailed: the model has no layers of these names, or none that the method can adapt.
    """
    if settings.method == "full":
        return model.requires_grad_(True)
    if settings.method == "head":
        model.requires_grad_(False)
        model.get_submodule(head).requires_grad_(True)
        return model
    if settings.method == "c3a" and settings.c3a_block_size is None:
        settings = settings.model_copy(
            update={"c3a_block_size": _common_size(model, settings.target_modules or ())}
        )
    more = {"task_type": "SEQ_CLS"} if isinstance(model, PreTrainedModel) else {}
    try:
        return get_peft_model(model, peft_config(settings, head, **more))
    except (ValueError, TypeError) as error:
        targets = ", ".join(settings.target_modules or ())
        raise TrainingFailed(f"{settings.method} does not fit the layers {targets}: {error}") from error


def name_base(model: nn.Module, base: str | None, revision: str | None) -> None:
    """Say in an adapter's settings which model it is for, as PEFT's loaders read it."""
    if isinstance(model, PeftModel):
        for config in model.peft_config.values():
            config.base_model_name_or_path, config.revision = base, revision


def _common_size(model: nn.Module, targets: Sequence[str]) -> int | None:
    """Largest block size that divides every target, for a model whose layers the catalogue does not know."""
    sizes = [
        size
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and f".{name}".endswith(tuple(f".{target}" for target in targets))
        for size in (layer.in_features, layer.out_features)
    ]
    return math.gcd(*sizes) or None


def is_head(parameter: str, head: str) -> bool:
    """Whether a parameter's name, inside PEFT or outside, lies in the head."""
    return parameter.removeprefix("base_model.model.").startswith(f"{head}.")


def count_parameters(model: nn.Module, head: str) -> tuple[int, int, int]:
    """Numbers trained outside the head, trained in the head, and of the model without an adapter.

    The frozen copy of the head that PEFT keeps beside the trained one is not counted.
    """
    trained = {True: 0, False: 0}
    frozen = 0
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            trained[is_head(name, head)] += parameter.numel()
        elif not is_head(name, head):
            frozen += parameter.numel()
    adapter, classifier = trained[False], trained[True]
    base = frozen + classifier if isinstance(model, PeftModel) else frozen + classifier + adapter
    return adapter, classifier, base


def save(model: nn.Module, folder: Path) -> int:
    """Write what was trained into `folder` as safetensors; returns the bytes of the weights.

    Adapters go through PEFT, with the head, so that `PeftModel.from_pretrained` reads them; `head` keeps its
    own tensors, `full` the whole model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(model, PeftModel):
        model.save_pretrained(str(folder), save_embedding_layers=False)
    else:
        save_file(_trained_tensors(model), str(folder / WEIGHTS), metadata={"format": "pt"})
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def load(model: nn.Module, folder: Path) -> None:
    """Read what `save` wrote back into a model that was built with the same settings.

    Raises:
        ValueError: the folder holds the weights of another model or method.
    """
    if isinstance(model, PeftModel):
        set_peft_model_state_dict(model, load_peft_weights(str(folder), device="cpu"))
        return
    tensors = load_file(str(folder / WEIGHTS))
    lacking = _trained_tensors(model).keys() - tensors.keys()
    if lacking:
        raise ValueError(
            f"{folder} lacks {', '.join(sorted(lacking)[:3])}; it was saved from another model or method."
        )
    model.load_state_dict(tensors, strict=False)


def _trained_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """Trained parameters, each once however often it is tied; with the buffers where nothing is frozen."""
    kept = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    if all(parameter.requires_grad for parameter in model.parameters()):
        kept |= {name for name, _ in model.named_buffers()}
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items() if name in kept}


def vectors(model: nn.Module) -> dict[str, torch.Tensor]:
    """What an adapter has learned, keyed "<module>/<vector>", detached copies on the CPU.

    Vectors: CDVFT "diagonal.0", "circulant.0", ... in the order in which data meets them; LoRA "A" and "B";
    FourierFT "spectrum" and "indices"; C3A "kernel". Empty for `head` and `full`. Module names are those of
    the backbone.
    """
    found: dict[str, torch.Tensor] = {}
    for module, layer in model.named_modules():
        if isinstance(layer, BaseTunerLayer):
            name = module.removeprefix("base_model.model.").removeprefix("backbone.")
            for vector, tensor in _layer_vectors(layer):
                found[f"{name}/{vector}"] = tensor.detach().to("cpu", copy=True)
    return found


def _layer_vectors(layer: BaseTunerLayer, adapter: str = "default") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(layer, CDVFTLayer):
        factors = layer.factors(adapter)
        yield from ((f"diagonal.{place}", vector) for place, vector in enumerate(factors.diagonals))
        yield from ((f"circulant.{place}", vector) for place, vector in enumerate(factors.circulants))
    elif isinstance(layer, LoraLayer):
        yield "A", layer.lora_A.get_parameter(f"{adapter}.weight")
        yield "B", layer.lora_B.get_parameter(f"{adapter}.weight")
    elif isinstance(layer, FourierFTLayer):
        yield "spectrum", layer.fourierft_spectrum[adapter]
        yield "indices", layer.indices[adapter]
    elif isinstance(layer, C3ALayer):
        yield "kernel", layer.c3a_kernel[adapter]
