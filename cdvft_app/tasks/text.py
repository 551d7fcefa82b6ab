"""Classification and regression of texts and of pairs of texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from datasets import Dataset
from torch import Tensor
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding, PreTrainedModel

from cdvft.mean_pooled import MeanPooledForSequenceClassification
from cdvft_app.catalog import Plan
from cdvft_app.catalog.backbones import TextBackbone, load_text_backbone
from cdvft_app.progress import Progress, ShouldStop
from cdvft_app.tasks.base import Examples, InvalidInput, LabelledTask


class TextTask(LabelledTask):
    """A text encoder under a head: a masked mean and a linear layer, or the architecture's own."""

    name = "text-classification"
    throughput_unit = "tokens/s"
    head = "classifier"
    model: PreTrainedModel

    def __init__(self, plan: Plan, labels: tuple[str, ...], loaded: TextBackbone) -> None:
        self.labels = labels
        self.metric_name = plan.dataset.metric
        self.label_scale = plan.label_scale
        if self.regression and self.label_scale != (0.0, 1.0):
            mean, deviation = self.label_scale
            self.notes = (
                f"Numbers are learned in standard deviations: the labels have mean {mean:.6g} and deviation "
                f"{deviation:.6g}, so always answering the mean has a loss near 1. Answers, scores and "
                "errors are in the labels' own unit.",
            )
        self.commit = loaded.commit
        self.max_length = plan.settings.max_length
        self.tokenizer = loaded.tokenizer
        self.pad = DataCollatorWithPadding(self.tokenizer)
        backbone: Any = loaded.model  # a transformers model
        label_config: dict[str, Any] = {"num_labels": 1, "problem_type": "regression"}
        if not self.regression:
            id2label = dict(enumerate(labels))
            label_config = {
                "id2label": id2label,
                "label2id": {label: place for place, label in id2label.items()},
            }
        if plan.model.pooling == "mean":
            self.model = MeanPooledForSequenceClassification.on(backbone, **label_config)
        else:
            backbone.config.update(label_config)
            self.model = AutoModelForSequenceClassification.from_config(backbone.config)
            setattr(self.model, backbone.base_model_prefix, backbone)

    @classmethod
    def open(
        cls, plan: Plan, labels: tuple[str, ...], progress: Progress, should_stop: ShouldStop
    ) -> TextTask:
        return cls(plan, labels, load_text_backbone(plan.model, progress, should_stop))

    def examples(self, inputs: Sequence[Any], labels: Sequence[Any] | np.ndarray | None = None) -> Examples:
        """Return token ids of texts, or of pairs of texts; what is longer than the plan allows is cut."""
        encoded = self._encoded(inputs, truncation=True, max_length=self.max_length)
        found = Dataset.from_dict(encoded if labels is None else {**encoded, "labels": labels})
        return cast(Examples, found)

    def too_long_by(self, inputs: Sequence[Any]) -> list[int]:
        assert self.max_length is not None
        lengths = map(len, self._encoded(inputs, verbose=False).get("input_ids", ()))
        return [max(0, length - self.max_length) for length in lengths]

    def _encoded(self, inputs: Sequence[Any], **options: Any) -> dict[str, Any]:
        if isinstance(inputs, str):
            raise InvalidInput("Give a list of texts, also for a single one.")
        texts = [list(inputs)]
        if len(inputs) and not isinstance(inputs[0], str):
            texts = [list(side) for side in zip(*map(_pair, inputs), strict=True)]
        if any(not isinstance(text, str) for side in texts for text in side):
            raise InvalidInput("Give texts only, or pairs of texts only.")
        return dict(self.tokenizer(*texts, **options)) if len(inputs) else {}

    def lengths(self, examples: Examples) -> list[int]:
        return [len(ids) for ids in cast(Dataset, examples)["input_ids"]]

    def collate(self, examples: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Return token ids padded to the longest of the batch."""
        return dict(self.pad(list(examples)))

    def units(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the number of tokens without padding."""
        return inputs["attention_mask"].sum()

    def save_config(self, folder: Path, whole: bool) -> None:
        """Write the tokenizer; of a whole model its config with the labels, for
        AutoModelForSequenceClassification.

        Beside an adapter that config would keep transformers from looking for the base model.
        """
        self.tokenizer.save_pretrained(folder)
        if whole:
            self.model.config.architectures = [type(self.model).__name__]
            self.model.config.save_pretrained(folder)


def _pair(value: Any) -> tuple[str, str]:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise InvalidInput(f"Got {str(value)[:80]!r} among pairs; each must be two texts.")
    return value[0], value[1]
