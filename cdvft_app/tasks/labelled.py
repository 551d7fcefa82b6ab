"""What tasks share that answer with a class or a number: loss, metric, and probabilities from logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import EvalPrediction

from cdvft_app.metrics import LabelledMetric, get_metric
from cdvft_app.tasks.base import Prediction, Task

BATCH = 64
"""Inputs that are predicted at once."""


class LabelledTask(Task):
    """The model gives (B, outputs) logits, or an output that has them as `.logits`.

    A metric of `regression` means one output and real labels instead of classes.
    """

    @property
    def metric(self) -> LabelledMetric:
        return cast(LabelledMetric, get_metric(self.metric_name))

    @property
    def regression(self) -> bool:
        return self.metric.regression

    def loss(self, outputs: Any, labels: Tensor) -> Tensor:
        """Cross-entropy, or mean squared error for regression; in float32."""
        logits = self.kept(outputs, labels)
        if self.regression:
            return F.mse_loss(logits.squeeze(-1), labels.float())
        return F.cross_entropy(logits, labels)

    def kept(self, outputs: Any, labels: Tensor | None = None) -> Tensor:
        """The logits (B, outputs) in float32."""
        return (outputs if isinstance(outputs, Tensor) else outputs.logits).float()

    def outputs(self, kept: Tensor) -> Tensor:
        """Probabilities (N, classes) of logits; of a regression the numbers (N, 1) as they are."""
        return kept.float() if self.regression else kept.float().softmax(-1)

    def measure(self, evaluation: EvalPrediction) -> dict[str, float]:
        return {self.metric_name: self.metric.compute(evaluation.predictions, evaluation.label_ids)}

    def predict(self, inputs: Sequence[Any], forward: Callable[..., Any] | None = None) -> list[Prediction]:
        return self.predictions(self.logits(inputs, forward))

    @torch.no_grad()
    def logits(self, inputs: Sequence[Any], forward: Callable[..., Any] | None = None) -> Tensor:
        """(N, outputs) logits of inputs, without dropout."""
        examples = self.examples(inputs)
        device = next(self.model.parameters()).device
        trained = self.model.training
        self.model.eval()
        found = []
        for start in range(0, len(examples), BATCH):
            batch = [examples[place] for place in range(start, min(start + BATCH, len(examples)))]
            model_inputs = {name: tensor.to(device) for name, tensor in self.collate(batch).items()}
            found.append(self.kept((forward or self.model)(**model_inputs)).cpu())
        self.model.train(trained)
        return torch.cat(found) if found else torch.empty(0, len(self.labels) or 1)

    def predictions(self, logits: Tensor) -> list[Prediction]:
        """What logits (N, outputs) say."""
        if self.regression:
            return [Prediction(None, (), float(value)) for value in logits.reshape(-1)]
        return [
            Prediction(self.labels[int(one.argmax())], tuple(one.tolist()), None)
            for one in self.outputs(logits)
        ]
