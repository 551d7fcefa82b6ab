from __future__ import annotations

import pytest
import torch

from cdvft_app.progress import never, silent
from cdvft_app.tasks.prepare import prepare


def test_mean_pooling_feeds_a_linear_head(text_plan, text_rows):
    prepared = prepare(text_plan(), silent, never, text_rows)
    model = prepared.task.model.eval()
    batch = prepared.task.collate([prepared.train[place] for place in range(8)])
    lengths = batch["attention_mask"].sum(1)
    assert lengths.min() < lengths.max() == batch["input_ids"].shape[1]
    assert lengths.tolist() == prepared.lengths[:8]
    labels = batch.pop("labels")
    assert labels.tolist() == text_rows.train.labels[:8].tolist()
    with torch.no_grad():
        together = model(**batch).logits
        for row, length in enumerate(lengths):
            alone = {key: value[row : row + 1, :length] for key, value in batch.items()}
            mean = model.backbone(**alone).last_hidden_state.mean(1)
            torch.testing.assert_close(together[row : row + 1], model.classifier(mean), rtol=0, atol=1e-5)


def test_regression_targets_are_standardized(number_plan, number_rows):
    prepared = prepare(number_plan(), silent, never, number_rows)
    task, prices = prepared.task, number_rows.train.labels
    for parameter in task.model.get_submodule(task.head).parameters():
        torch.nn.init.zeros_(parameter)  # the output is 0, which stands for the mean
    said = [one.value for one in task.predict(number_rows.train.inputs)]
    assert said == pytest.approx([prices.mean()] * len(prices), rel=1e-5)
    batch = task.collate([prepared.train[place] for place in range(len(prices))])
    labels = batch.pop("labels")
    assert labels.tolist() == prices.tolist()
    outputs = task.model(**batch)
    assert float(task.loss(outputs, labels)) == pytest.approx(1, rel=1e-4)
    assert task.preprocess_logits_for_metrics(outputs, labels).shape == (len(prices), 1)
    assert f"mean {prices.mean():.4g}" in " ".join(task.notes)
