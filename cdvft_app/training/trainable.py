"""What of a model a method trains, built, counted, saved and loaded: a PEFT adapter, the head alone, or all.

Every method trains the classifier head too, where there is one; the head is built before the method, so that
all methods of a race start from the same one. Adapters are PEFT's own; all of them start at, or next to, the
pretrained model.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import load_peft_weights, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_log

from cdvft.blocks import matches
from cdvft.cost import Shape
from cdvft_app.catalog import Plan
from cdvft_app.catalog.dataset_readers import load_rows
from cdvft_app.events import TrainingFailed
from cdvft_app.methods import Method
from cdvft_app.metrics import get_metric
from cdvft_app.progress import Progress, never, silent
from cdvft_app.settings import RunSettings
from cdvft_app.tasks import saved
from cdvft_app.tasks.base import Task
from cdvft_app.tasks.prepare import TASKS

WEIGHTS = "model.safetensors"
"""The file that `head` and `full` keep; adapters keep PEFT's own files."""


def peft_config(settings: RunSettings, head: str | None, **more: Any) -> PeftConfig:
    """PEFT's settings of a method, with its own start. `settings` are complete, as a plan holds them."""
    more |= {"target_modules": set(settings.target_modules or ()), "modules_to_save": head and [head]}
    return settings.method.peft_config(**more)


def build(settings: RunSettings, model: nn.Module, head: str | None) -> nn.Module:
    """Return `model` with what `settings.method` trains set to require gradients, and the rest frozen.

    Args:
        settings: complete settings, as a plan holds them.
        model: backbone and head.
        head: name of the head's module in `model`; None for a causal language model, which has none.

    Returns:
        A `PeftModel` for an adapter; the same model for `head` and `full`.

    Raises:
        TrainingFailed: the model has no layers of these names, or none that the method can adapt.
    """
    if settings.method.key == "full":
        return model.requires_grad_(True)
    if settings.method.key == "head" and head is not None:
        model.requires_grad_(False)
        model.get_submodule(head).requires_grad_(True)
        return model
    # A model whose layers the catalogue does not know.
    filled = settings.method.with_layer_defaults(_targets(model, settings.target_modules or ()))
    settings = settings.model_copy(update={"method": filled})
    kind = "CAUSAL_LM" if head is None else "SEQ_CLS"
    more = {"task_type": kind} if isinstance(model, PreTrainedModel) else {}
    try:
        with warnings.catch_warnings():  # of a name that PEFT reads and transformers is to rename
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
            return get_peft_model(model, peft_config(settings, head, **more))
    except (ValueError, TypeError) as error:
        targets = ", ".join(settings.target_modules or ())
        raise TrainingFailed(f"{settings.method.title} does not fit the layers {targets}: {error}") from error


def name_base(model: nn.Module, base: str | None, revision: str | None) -> None:
    """Say in an adapter's settings which model it is for, as PEFT's loaders read it."""
    if isinstance(model, PeftModel):
        for config in model.peft_config.values():
            config.base_model_name_or_path, config.revision = base, revision


def _targets(model: nn.Module, targets: Sequence[str]) -> list[Shape]:
    """Return the linear layers of the model that the names select."""
    return [
        Shape(name, layer.out_features, layer.in_features)
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and any(matches(name, target) for target in targets)
    ]


def is_head(parameter: str, head: str | None) -> bool:
    """Return whether a parameter's name, inside PEFT or outside, lies in the head."""
    return head is not None and parameter.removeprefix("base_model.model.").startswith(f"{head}.")


def count_parameters(model: nn.Module, head: str | None) -> tuple[int, int, int]:
    """Return how many numbers are trained outside the head and in it, and how many the model itself has.

    The frozen copy of the head that PEFT keeps beside the trained one is not counted.
    """
    trained = {True: 0, False: 0}
    frozen = 0
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            trained[is_head(name, head)] += parameter.numel()
        elif not is_head(name, head):
            quantized = getattr(parameter, "quant_state", None)  # of two weights a byte
            frozen += quantized.shape.numel() if quantized is not None else parameter.numel()
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
    tensors = kept_tensors(folder)
    lacking = _trained_tensors(model).keys() - tensors.keys()
    if lacking:
        raise ValueError(
            f"{folder} lacks {', '.join(sorted(lacking)[:3])}; it was saved from another model or method."
        )
    model.load_state_dict(tensors, strict=False)


def kept_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Return the tensors that `save` wrote of a model without an adapter, by their names in the model."""
    return load_file(str(folder / WEIGHTS))


def _trained_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """Trained parameters, each once however often it is tied; with the buffers where nothing is frozen."""
    kept = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    if all(parameter.requires_grad for parameter in model.parameters()):
        kept |= {name for name, _ in model.named_buffers()}
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items() if name in kept}


def vectors(model: nn.Module, method: Method) -> dict[str, torch.Tensor]:
    """Return what an adapter has learned, keyed "<module>/<vector>", as detached copies on the CPU.

    Vectors are named by the method, modules by the backbone. Empty without an adapter.
    """
    found: dict[str, torch.Tensor] = {}
    for module, layer in model.named_modules():
        if isinstance(layer, BaseTunerLayer):
            name = module.removeprefix("base_model.model.").removeprefix("backbone.")
            for vector, tensor in method.vectors(layer):
                found[f"{name}/{vector}"] = tensor.detach().to("cpu", copy=True)
    return found


def load_trained(plan: Plan, folder: Path, progress: Progress = silent) -> tuple[Task, nn.Module]:
    """Return the task of a run that has ended, ready to predict, and its model as the method built it.

    Args:
        plan: of the run's settings.
        folder: where the run kept its weights: an adapter, a head, or a whole model.
        progress: told what is fetched and loaded.

    Returns:
        The model is a `PeftModel` for an adapter.

    Raises:
        DownloadFailed: the pretrained model could not be had or read; says why and what to do.
        ValueError: the folder holds the weights of another model or method.
    """
    task = load_base(plan, folder, progress)
    model = build(plan.settings, task.model, task.head)
    load(model, folder)
    return task, model


def load_base(plan: Plan, folder: Path, progress: Progress = silent) -> Task:
    """Return the task of a run, its model without what the run trained: pretrained, under a fresh head.

    Weights that were quantized for training are whole here.
    """
    transformers_log.disable_progress_bar()  # `progress` is told
    if plan.settings.bits in (4, 8):  # quantized weights take no update
        plan = replace(plan, settings=plan.settings.model_copy(update={"bits": None}))
    record = saved.read(folder)
    labels = record.labels if record else _labels(plan, progress)
    return TASKS[plan.model.kind].load(plan, labels, progress, never)


def _labels(plan: Plan, progress: Progress) -> tuple[str, ...]:
    """Return the classes' names as the data has them, for runs that did not keep them."""
    if plan.dataset.labels or get_metric(plan.dataset.metric).regression:
        return plan.dataset.labels
    return load_rows(
        plan.dataset, train_examples=1, evaluation_examples=1, seed=0, progress=progress, should_stop=never
    ).labels
