"""Train a classifier or a regression from an exported run.

Reads settings.json and the Parquet rows in its folder, and writes the weights to trained/:
pip install -r requirements.txt && python train.py
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from datasets import DatasetDict, load_dataset
from peft import PeftConfig, get_peft_model
from safetensors.torch import save_file
from sklearn.metrics import matthews_corrcoef
from torch.nn import functional as F
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

from cdvft.mean_pooled import MeanPooledForSequenceClassification  # importing cdvft registers it with PEFT

SETTINGS: dict[str, Any] = json.loads(Path("settings.json").read_text(encoding="utf-8"))
BASE, REVISION, (MEAN, DEVIATION) = (SETTINGS[name] for name in ("base", "revision", "label_scale"))


def load_text(rows: DatasetDict) -> tuple[Any, DatasetDict, Any]:
    """Return the model, the tokenized rows and their collator."""
    tokenizer = AutoTokenizer.from_pretrained(BASE, revision=REVISION)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    columns = [name for name in ("text", "second") if name in rows["train"].column_names]

    def encode(batch: Any) -> Any:
        return tokenizer(
            *(batch[name] for name in columns), truncation=True, max_length=SETTINGS["max_length"]
        )

    mean = SETTINGS["pooling"] == "mean"
    kind: Any = MeanPooledForSequenceClassification if mean else AutoModelForSequenceClassification
    model = kind.from_pretrained(BASE, revision=REVISION, num_labels=SETTINGS["outputs"], dtype=torch.float32)
    return model, rows.map(encode, batched=True, remove_columns=columns), DataCollatorWithPadding(tokenizer)


def load_images(rows: DatasetDict) -> tuple[Any, DatasetDict, Any]:
    """Return the model, the rows with their transform and their collator."""
    import timm
    from torchvision.transforms import v2

    place = f"local-dir:{BASE}" if BASE == "base" else f"hf_hub:{BASE}@{REVISION or 'main'}"
    model: Any = timm.create_model(place, pretrained=True, num_classes=0, **SETTINGS["sized"])
    model.reset_classifier(SETTINGS["outputs"])
    size, usual = SETTINGS["image_size"], timm.data.resolve_data_config({}, model=model)
    resize = v2.Resize(size, v2.InterpolationMode.BICUBIC)
    normalize = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(usual["mean"], usual["std"])]
    transform = v2.Compose([v2.ToImage(), v2.RGB(), resize, v2.CenterCrop(size), *normalize])

    def transformed(batch: dict[str, Any]) -> dict[str, Any]:
        return {"x": [transform(image) for image in batch["image"]], "labels": batch["labels"]}

    def collate(examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        labels = torch.tensor([example["labels"] for example in examples])
        return {"x": torch.stack([example["x"] for example in examples]), "labels": labels}

    return model, rows.with_transform(transformed), collate


class ClassifierTrainer(Trainer):
    """Minimizes cross-entropy, or the squared error in standard deviations of the labels."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: Any = False, *_: Any, **__: Any) -> Any:
        labels, outputs = inputs.pop("labels"), model(**inputs)
        logits = getattr(outputs, "logits", outputs).float()
        if SETTINGS["metric"] == "pearson":
            loss = F.mse_loss(logits.squeeze(-1), (labels.float() - MEAN) / DEVIATION)
        else:
            loss = F.cross_entropy(logits, labels)
        return (loss, {"logits": logits}) if return_outputs else loss

    def create_optimizer(self, *_: Any) -> torch.optim.Optimizer:
        model, groups = cast(torch.nn.Module, self.model), []
        decayed = self.get_decay_parameter_names(model)
        for name, one in model.named_parameters():
            rates = [rate for pattern, rate in SETTINGS["learning_rates"].items() if re.search(pattern, name)]
            decay = self.args.weight_decay if name in decayed else 0.0
            groups.append({"params": [one], "lr": rates[0], "weight_decay": decay})
        self.optimizer = torch.optim.AdamW(groups, betas=(self.args.adam_beta1, 0.999))
        return self.optimizer


SCORES: dict[str, Callable[[Any, Any], float]] = {
    "accuracy": lambda outputs, labels: (outputs.argmax(-1) == labels).mean(),
    "matthews": lambda outputs, labels: matthews_corrcoef(labels, outputs.argmax(-1)),
    "pearson": lambda outputs, labels: np.corrcoef(outputs.reshape(-1), labels)[0, 1],
}

set_seed(SETTINGS["arguments"]["seed"])
rows = load_dataset("parquet", data_files={name: f"{name}.parquet" for name in ("train", "evaluation")})
model, data, collator = (load_images if "image" in rows["train"].column_names else load_text)(rows)
if SETTINGS["method"] == "adapter":
    model = get_peft_model(model, PeftConfig.from_pretrained("peft_config"))
elif SETTINGS["method"] == "head":
    model.requires_grad_(False).get_submodule(SETTINGS["head"]).requires_grad_(True)
options = TrainingArguments("checkpoints", **SETTINGS["arguments"])
trainer = ClassifierTrainer(model, options, collator, data["train"], data["evaluation"])
trainer.compute_metrics = lambda given: {"score": float(SCORES[SETTINGS["metric"]](*given))}
trainer.train()
print(f"{SETTINGS['metric']}: {trainer.evaluate()['eval_score']:.4f}")
weights = {name: one.data for name, one in model.named_parameters() if one.requires_grad}
Path("trained").mkdir(exist_ok=True)
save_file(weights, "trained/model.safetensors")
