"""Classification and regression of texts and of pairs of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasets import Dataset
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding

from cdvft_app.catalog import Plan
from cdvft_app.catalog.backbones import load_text_backbone
from cdvft_app.catalog.download import Progress, ShouldStop
from cdvft_app.catalog.rows import Rows, Split
from cdvft_app.training.tasks import Task, commits


class MeanPoolClassifier(nn.Module):
    """Linear head on the mean of the last hidden states of all tokens but padding.

    logits = V mean_t(h_t) + b, for encoders that were trained with mean pooling (sentence encoders).
    """

    def __init__(self, backbone: Any, outputs: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = nn.Linear(backbone.config.hidden_size, outputs)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **inputs: Tensor) -> Tensor:
        """(B, T) token ids and mask -> (B, outputs) logits."""
        states = self.backbone(input_ids=input_ids, attention_mask=attention_mask, **inputs).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)  # (B, T, 1)
        return self.classifier((states * mask).sum(1) / mask.sum(1))


def text_task(plan: Plan, rows: Rows, progress: Progress, should_stop: ShouldStop) -> Task:
    """A text encoder with a head on top: a masked mean and a linear layer, or the architecture's own head."""
    loaded = load_text_backbone(plan.model, progress, should_stop)
    outputs = len(rows.labels) or 1
    backbone: Any = loaded.model  # a transformers model
    if plan.model.pooling == "mean":
        model: nn.Module = MeanPoolClassifier(backbone, outputs)
    else:
        backbone.config.num_labels = outputs
        model = AutoModelForSequenceClassification.from_config(backbone.config)
        setattr(model, backbone.base_model_prefix, backbone)
        vars(model)["name_or_path"] = plan.model.location  # PEFT writes it into the adapter as its base

    def encode(split: Split) -> dict[str, Any]:
        texts = [list(split.inputs)]
        if not isinstance(split.inputs[0], str):
            texts = [list(side) for side in zip(*split.inputs, strict=True)]
        encoded = loaded.tokenizer(*texts, truncation=True, max_length=plan.settings.max_length)
        return {**encoded, "labels": split.labels}

    progress(None, "Encoding the texts")
    train = encode(rows.train)
    evaluation = Dataset.from_dict(encode(rows.evaluation))
    lengths = [len(ids) for ids in evaluation["input_ids"]]
    by_length = sorted(range(len(lengths)), key=lengths.__getitem__)  # batches with little padding
    return Task(
        model=model,
        head="classifier",
        train=Dataset.from_dict(train),
        evaluation=evaluation.select(by_length),
        lengths=[len(ids) for ids in train["input_ids"]],
        collate=TextCollator(loaded.tokenizer),
        metric_name=plan.dataset.metric,
        throughput_unit="tokens/s",
        commits=commits(plan, loaded.commit, rows.commit),
    )


class TextCollator:
    """Pads token ids to the longest of the batch."""

    def __init__(self, tokenizer: Any) -> None:
        self.pad = DataCollatorWithPadding(tokenizer)

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        return dict(self.pad(list(examples)))
