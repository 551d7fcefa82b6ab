"""The text of the script that trains a run again; script.py says with what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from cdvft_app.catalog.entries import Kind, Metric

METRICS: Mapping[Metric, str] = {
    "accuracy": "(given.predictions.argmax(-1) == given.label_ids).mean()",
    "matthews": "matthews_corrcoef(given.label_ids, given.predictions.argmax(-1))",
    "pearson": "np.corrcoef(given.predictions.reshape(-1), given.label_ids)[0, 1]",
}


def write(
    *,
    about: str,
    kind: Kind,
    pooling: Literal["mean", "cls", "timm"],
    pairs: bool,
    metric: Metric,
    method: str,
    settings: Mapping[str, Any],
) -> str:
    """The whole script.

    Args:
        about: the docstring, as it stands in the source.
        kind: of its inputs.
        pooling: how the head reads the model.
        pairs: of texts.
        metric: of the evaluation.
        method: "head", "full", or a call that makes a PEFT config.
        settings: constants by name.
    """
    constants = "\n".join(f"{name} = {value!r}" for name, value in settings.items())
    data, model = (_IMAGE_DATA, _IMAGE_MODEL) if kind == "image" else (_TEXT_DATA, _TEXT_MODELS[pooling])
    second = ', batch["second"]' if pairs else ""
    columns = '["text", "second"]' if pairs else '["text"]'
    regression = metric == "pearson"
    classes, numbers = "F.cross_entropy(logits, labels)", "F.mse_loss(logits.squeeze(-1), labels.float())"
    loss = numbers if regression else classes
    trained = _TRAINED.get(method, _ADAPTER.replace("METHOD", method))
    parts = [
        about,
        "\n" + _imports(kind, pooling, metric, method),
        f"\n# %% What is trained, and how\n{constants}",
        data.replace("SECOND", second).replace("COLUMNS", columns),
        model.replace("NUMBER", "1" if regression else "len(LABELS)"),
        trained,
        _TRAINER.replace("LOSS", loss).replace("METRIC", METRICS[metric]),
        _SAVED.get(method, _SAVED_ADAPTER),
    ]
    return "\n".join(parts)


def _imports(kind: Kind, pooling: str, metric: Metric, method: str) -> str:
    adapter = method not in _TRAINED
    lines = ["import math", ""]
    lines += ["import cdvft  # makes CDVFT known to PEFT"] if method.startswith("CDVFT") else []
    lines += ["import numpy as np"] if metric == "pearson" else []
    lines += ["import timm", "import timm.data"] if kind == "image" else []
    lines += ["import torch"]
    lines += ["from cdvft import CDVFTConfig"] if method.startswith("CDVFT") else []
    lines += (
        ["from cdvft.mean_pooled import MeanPooledForSequenceClassification"] if pooling == "mean" else []
    )
    lines += ["from datasets import load_dataset"]
    if adapter:
        own = method.partition("(")[0]
        names = ["get_peft_model", *([] if own == "CDVFTConfig" else [own])]
        lines += [f"from peft import {', '.join(sorted(names))}"]
    else:
        lines += ["from safetensors.torch import save_file"]
    lines += ["from sklearn.metrics import matthews_corrcoef"] if metric == "matthews" else []
    lines += ["from torch.nn import functional as F"]
    lines += ["from torchvision.transforms import v2"] if kind == "image" else []
    names = ["Trainer", "TrainingArguments", "set_seed"]
    if kind == "text":
        head = [] if pooling == "mean" else ["AutoModelForSequenceClassification"]
        names = ["AutoModel", *head, "AutoTokenizer", "DataCollatorWithPadding", *names]
    lines += [f"from transformers import {', '.join(names)}"]
    lines += ["from transformers.trainer_pt_utils import get_length_grouped_indices"]
    return "\n".join(lines)


_TEXT_DATA = """
# %% The rows
rows = load_dataset("parquet", data_files={"train": "train.parquet", "evaluation": "evaluation.parquet"})
tokenizer = AutoTokenizer.from_pretrained(BASE, revision=REVISION)
if tokenizer.pad_token is None:
    tokenizer.pad_token = tokenizer.eos_token


def encoded(batch):
    return tokenizer(batch["text"]SECOND, truncation=True, max_length=MAX_LENGTH)


data = rows.map(encoded, batched=True, remove_columns=COLUMNS)
collate = DataCollatorWithPadding(tokenizer)
lengths = [len(ids) for ids in data["train"]["input_ids"]]
"""

_IMAGE_DATA = """
# %% The rows
rows = load_dataset("parquet", data_files={"train": "train.parquet", "evaluation": "evaluation.parquet"})
resize = v2.Resize(IMAGE_SIZE, v2.InterpolationMode.BICUBIC)
squared = [v2.ToImage(), v2.RGB(), resize, v2.CenterCrop(IMAGE_SIZE)]
lengths = [1] * len(rows["train"])


def prepared(batch):
    return {"x": [transform(image.convert("RGB")) for image in batch["image"]], "labels": batch["labels"]}


def collate(examples):
    labels = torch.tensor([example["labels"] for example in examples])
    return {"x": torch.stack([example["x"] for example in examples]), "labels": labels}


data = rows.with_transform(prepared)
"""

_TEXT_MODELS = {
    "mean": """
# %% The model: an encoder under a head on the mean of its states
set_seed(SEED)  # the head's start
encoder = AutoModel.from_pretrained(BASE, revision=REVISION, dtype=torch.float32)
model = MeanPooledForSequenceClassification.on(encoder, num_labels=NUMBER)
HEAD = "classifier"
""",
    "cls": """
# %% The model: an encoder under its architecture's own head
set_seed(SEED)  # the head's start
encoder = AutoModel.from_pretrained(BASE, revision=REVISION, dtype=torch.float32)
encoder.pooler = None
encoder.config.num_labels = NUMBER
model = AutoModelForSequenceClassification.from_config(encoder.config)
setattr(model, encoder.base_model_prefix, encoder)
HEAD = "classifier"
""",
}

_IMAGE_MODEL = """
# %% The model: a timm model under a linear head
set_seed(SEED)  # the head's start
hub = f"hf_hub:{BASE}@{REVISION}" if REVISION else f"hf_hub:{BASE}"
model = timm.create_model(
    "local-dir:base" if BASE == "base" else hub, pretrained=True, num_classes=0, **SIZED
)
usual = timm.data.resolve_data_config({}, model=model)
model.reset_classifier(len(LABELS))
HEAD = model.pretrained_cfg["classifier"]
normalized = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(usual["mean"], usual["std"])]
transform = v2.Compose([*squared, *normalized])
"""

_ADAPTER = """
# %% What is trained
set_seed(SEED)  # the adapter's start
model = get_peft_model(model, METHOD)
model.print_trainable_parameters()
"""

_TRAINED = {
    "head": """
# %% What is trained: the head alone
set_seed(SEED)
model.requires_grad_(False)
model.get_submodule(HEAD).requires_grad_(True)
""",
    "full": """
# %% What is trained: everything
set_seed(SEED)
model.requires_grad_(True)
""",
}

_TRAINER = """
# %% Training
class Order(torch.utils.data.Sampler):
    \"\"\"Batches of similar length, in an order that follows from seed and epoch.\"\"\"

    def __len__(self):
        return len(lengths)

    def __iter__(self):
        epoch = trainer.state.global_step // math.ceil(len(lengths) / BATCH_SIZE)
        generator = torch.Generator().manual_seed(SEED + 1_000_003 * epoch)
        return iter(get_length_grouped_indices(lengths, BATCH_SIZE, generator=generator))


class TwoRates(Trainer):
    \"\"\"The head has a learning rate of its own.\"\"\"

    def _get_train_sampler(self, *_):
        return Order()

    def create_optimizer(self, *_):
        decayed = set(self.get_decay_parameter_names(self.model))
        groups = {}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                in_head = name.removeprefix("base_model.model.").startswith(f"{HEAD}.")
                groups.setdefault((in_head, name not in decayed), []).append(parameter)
        kind, options = self.get_optimizer_cls_and_kwargs(self.args)
        self.optimizer = kind(
            [
                {
                    "params": groups[in_head, spared],
                    "lr": HEAD_LEARNING_RATE if in_head else LEARNING_RATE,
                    "weight_decay": 0.0 if spared else WEIGHT_DECAY,
                }
                for in_head, spared in sorted(groups)
            ],
            **options,
        )
        return self.optimizer

    def compute_loss(self, model, inputs, return_outputs=False, **_):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        logits = (outputs if isinstance(outputs, torch.Tensor) else outputs.logits).float()
        loss = LOSS
        return (loss, {"logits": logits}) if return_outputs else loss


cuda = torch.cuda.is_available()
bf16 = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
trainer = TwoRates(
    model=model,
    args=TrainingArguments(
        output_dir="checkpoints",
        max_steps=STEPS,
        per_device_train_batch_size=BATCH_SIZE,
        per_device_eval_batch_size=max(64, BATCH_SIZE),
        learning_rate=LEARNING_RATE,
        lr_scheduler_type=SCHEDULE,
        warmup_steps=WARMUP_STEPS,
        weight_decay=WEIGHT_DECAY,
        max_grad_norm=1.0,
        seed=SEED,
        bf16=bf16,
        fp16=cuda and not bf16,
        logging_steps=1,
        save_strategy="no",
        label_names=["labels"],
        remove_unused_columns=False,
        report_to="none",
        dataloader_pin_memory=cuda,
    ),
    train_dataset=data["train"],
    eval_dataset=data["evaluation"],
    data_collator=collate,
    compute_metrics=lambda given: {"metric": METRIC},
)
trainer.model_accepts_loss_kwargs = False  # the loss is a batch's mean
trainer.train()
losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
print("first losses:", losses[:10])
print("evaluation:", trainer.evaluate()["eval_metric"])
"""

_SAVED_ADAPTER = """
# %% What was learned
model.save_pretrained("adapter")
"""

_SAVED = dict.fromkeys(
    ("head", "full"),
    """
# %% What was learned
trained = {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
save_file(trained, "trained.safetensors")
""",
)
