"""A run's weights in other forms: merged into a plain model, or any adapter as a LoRA adapter.

LoRA is for programs that load no other kind (vLLM, llama.cpp). Of each layer's update dW = U S V^T the first
r terms are kept: B = U_r S_r, A = V_r^T, with alpha = r so that the scale is 1. No matrix of rank r is nearer
to dW (Eckart and Young, 1936); what is lost is said as a share of |dW|^2, the update's energy.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import SAFETENSORS_WEIGHTS_NAME, ModulesToSaveWrapper, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D
from transformers.utils import SAFE_WEIGHTS_NAME

from cdvft_app.catalog import Plan
from cdvft_app.catalog.backbones import (
    load_image_backbone,
    load_language_model,
    load_text_backbone,
    open_language_model,
)
from cdvft_app.catalog.sources import files_of
from cdvft_app.progress import Progress, never
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.tasks.base import Task
from cdvft_app.tasks.saved import TaskRecord

DENSE = "2_Dense"
OF_A_MODEL = (".safetensors", ".json", ".txt", ".jinja", ".model")
PREFIX = "base_model.model."


@torch.no_grad()
def merged_weight(layer: BaseTunerLayer) -> Tensor:
    """Return the weight of an adapted layer with its adapter merged into it; the layer stays as it was.

    PEFT merges, since what its `get_delta_weight` returns of DoRA leaves the magnitudes out.
    """
    merged = copy.deepcopy(layer)
    merged.merge()
    return cast(Any, merged.get_base_layer()).weight.detach()


def write_merged(task: Task, model: nn.Module, record: TaskRecord, folder: Path) -> None:
    """Write the task's model with what was learned added to its weights.

    An encoder under a head on the mean becomes a folder of sentence-transformers, whose `encode` gives the
    logits; its encoder is a plain one of transformers.

    Args:
        task: of the run; its model is merged in place.
        model: the task's with the run's adapter, or the same where there is none.
        record: says what its outputs mean.
        folder: must be there.

    Raises:
        ResultsError: what was learned is not finite.
    """
    whole: Any = model
    if isinstance(model, PeftModel):
        try:
            whole = model.merge_and_unload(safe_merge=True)
        except ValueError as error:
            raise ResultsError(f"It cannot be merged: {error}") from error
    task.save_config(folder, whole=True)
    if record.task == "image-classification":
        _save(whole, folder)
    elif record.pooling == "mean":
        _write_sentence_encoder(whole, record, folder)
    else:
        whole.save_pretrained(folder)


def _write_sentence_encoder(model: Any, record: TaskRecord, folder: Path) -> None:
    """The layout of sentence-transformers: an encoder, the mean, and a linear layer to the logits."""
    model.backbone.config.update({"id2label": dict(enumerate(record.labels))} if record.labels else {})
    model.backbone.save_pretrained(folder)
    d, outputs = model.classifier.in_features, model.classifier.out_features
    dense = {
        "in_features": d,
        "out_features": outputs,
        "bias": True,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    _write(
        folder / "1_Pooling" / "config.json",
        {"word_embedding_dimension": d, "pooling_mode_mean_tokens": True},
    )
    _write(folder / DENSE / "config.json", dense)
    tensors = {
        f"linear.{name}": tensor.contiguous() for name, tensor in model.classifier.state_dict().items()
    }
    save_file(tensors, str(folder / DENSE / SAFE_WEIGHTS_NAME), metadata={"format": "pt"})
    _write(
        folder / "sentence_bert_config.json", {"max_seq_length": record.max_length, "do_lower_case": False}
    )
    kinds = (("", "Transformer"), ("1_Pooling", "Pooling"), (DENSE, "Dense"))
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (path, kind) in enumerate(kinds)
    ]
    _write(folder / "modules.json", modules)


def write_base(plan: Plan, folder: Path, progress: Progress) -> None:
    """The pretrained model by itself, for who cannot get it elsewhere: its own files where it has such."""
    folder.mkdir()
    given = files_of(plan.model, progress, never).folder if plan.model.kind != "image" else None
    if given and (given / SAFE_WEIGHTS_NAME).is_file() and (given / "config.json").is_file():
        for file in given.iterdir():
            if file.suffix in OF_A_MODEL:
                shutil.copyfile(file, folder / file.name)
        return
    if plan.model.kind == "generation":
        opened = open_language_model(plan.model, progress=progress)
        writer: Any = load_language_model(plan.model, opened, progress)
        writer.save_pretrained(folder)
        opened.tokenizer.save_pretrained(folder)
        return
    if plan.model.kind == "text":
        text = load_text_backbone(plan.model, progress)
        model: Any = text.model
        model.save_pretrained(folder)
        text.tokenizer.save_pretrained(folder)
        return
    size = plan.settings.image_size
    assert size is not None
    image = load_image_backbone(plan.model, size, progress)
    _save(image.model, folder)
    own: Any = image.model
    cfg = {
        "input_size": [3, size, size],
        "mean": list(image.mean),
        "std": list(image.std),
        "num_classes": 0,
        "classifier": own.pretrained_cfg["classifier"],
    }
    architecture = own.pretrained_cfg["architecture"]
    _write(folder / "config.json", {"architecture": architecture, "num_classes": 0, "pretrained_cfg": cfg})


def _save(model: nn.Module, folder: Path) -> None:
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, str(folder / SAFE_WEIGHTS_NAME), metadata={"format": "pt"})


def _write(file: Path, value: Any) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(value, indent=2), encoding="utf-8")


@dataclass(frozen=True)
class Conversion:
    """How much of the update a conversion to LoRA of this rank kept.

    layers: by module name, |B A|^2 / |dW|^2; 1 for an update of zero, of which nothing can be lost.
    share: the same over all layers together.
    """

    rank: int
    layers: Mapping[str, float]
    share: float


def write_lora(model: nn.Module, rank: int, folder: Path) -> Conversion:
    """Write the model's adapter, with its trained head, as a LoRA adapter that PEFT loads by itself.

    Args:
        model: with one adapter, named "default", whose updates are added to linear layers.
        rank: of each layer, at most the smaller side of the smallest.
        folder: made where it is missing.

    Raises:
        ResultsError: the rank is too large, or the adapter is no sum of the weight and an update.
    """
    if not isinstance(model, PeftModel):
        raise ResultsError("This run trained no adapter, so there is nothing that LoRA could stand for.")
    updates = _updates(model)
    largest = min(min(update.shape) for update in updates.values())
    if not 1 <= rank <= largest:
        raise ResultsError(
            f"LoRA rank: got {rank:,}; the layers of this run take ranks from 1 to {largest:,}."
        )
    tensors = _head(model)
    layers, energy, kept_energy = {}, 0.0, 0.0
    for name, update in updates.items():
        left, values, right = torch.linalg.svd(update, full_matrices=False)
        tensors[f"{name}.lora_A.weight"] = right[:rank]
        tensors[f"{name}.lora_B.weight"] = left[:, :rank] * values[:rank]
        energies = values.double().square()
        whole, kept = float(energies.sum()), float(energies[:rank].sum())
        layers[name.removeprefix(PREFIX)] = kept / whole if whole else 1.0
        energy, kept_energy = energy + whole, kept_energy + kept
    folder.mkdir(parents=True, exist_ok=True)
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, str(folder / SAFETENSORS_WEIGHTS_NAME), metadata={"format": "pt"})
    own: Any = model.peft_config["default"]
    config = LoraConfig(
        r=rank, lora_alpha=rank, target_modules=own.target_modules, modules_to_save=own.modules_to_save,
        base_model_name_or_path=own.base_model_name_or_path, revision=own.revision,
        task_type=own.task_type, inference_mode=True,
    )  # fmt: skip
    config.save_pretrained(str(folder))
    return Conversion(rank, layers, kept_energy / energy if energy else 1.0)


@torch.no_grad()
def _updates(model: nn.Module) -> dict[str, Tensor]:
    """Return each adapted layer's merged weight less its frozen one, (d_out, d_in), in float32, by name."""
    found: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, BaseTunerLayer):
            whole = cast(
                Any, copy.deepcopy(module)
            ).float()  # the difference of rounded weights would be coarse
            base: Any = whole.get_base_layer()
            update = merged_weight(whole) - base.weight
            if update.dim() != 2:
                raise ResultsError(f"{type(module).__name__} changes no matrix that LoRA could stand for.")
            found[name] = update.T if isinstance(base, Conv1D) else update
    return found


def _head(model: PeftModel) -> dict[str, Tensor]:
    """Return the tensors of the trained head, by the names under which PEFT saves them."""
    heads = tuple(
        f"{name}." for name, module in model.named_modules() if isinstance(module, ModulesToSaveWrapper)
    )
    saved = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: tensor for name, tensor in saved.items() if name.startswith(heads)}
