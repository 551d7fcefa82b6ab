"""Whole models as folders of transformers, timm or sentence-transformers, without PEFT and CDVFT."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from peft import PeftModel
from safetensors.torch import save_file
from torch import nn

from cdvft_app.catalog import Plan
from cdvft_app.catalog.backbones import load_image_backbone, load_text_backbone
from cdvft_app.catalog.download import Progress
from cdvft_app.catalog.language_models import load_language_model, open_language_model
from cdvft_app.results.errors import ResultsError
from cdvft_app.tasks.base import Task
from cdvft_app.tasks.saved import TaskRecord

WEIGHTS = "model.safetensors"


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
    _write(folder / "2_Dense" / "config.json", dense)
    tensors = {
        f"linear.{name}": tensor.contiguous() for name, tensor in model.classifier.state_dict().items()
    }
    save_file(tensors, str(folder / "2_Dense" / WEIGHTS), metadata={"format": "pt"})
    _write(
        folder / "sentence_bert_config.json", {"max_seq_length": record.max_length, "do_lower_case": False}
    )
    kinds = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense"))
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (path, kind) in enumerate(kinds)
    ]
    _write(folder / "modules.json", modules)


def write_base(plan: Plan, folder: Path, progress: Progress) -> None:
    """The pretrained model by itself, for who cannot get it elsewhere."""
    folder.mkdir()
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
    save_file(tensors, str(folder / WEIGHTS), metadata={"format": "pt"})


def _write(file: Path, value: Any) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(value, indent=2), encoding="utf-8")
