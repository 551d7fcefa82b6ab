from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from transformers import AutoModel
from transformers.models.roberta.modeling_roberta import RobertaClassificationHead

from cdvft_app.catalog.dataset_readers import Rows, Split
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


def test_text_pairs_become_two_segments(text_plan):
    pairs = Split([("good film", "bad plot"), ("a", "the")], np.array([0, 1]))
    prepared = prepare(text_plan(), silent, never, Rows(pairs, pairs, ("no", "yes"), None))
    assert prepared.train[0]["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1]


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


@pytest.mark.parametrize("kind", ["text", "image"])
def test_head_follows_from_the_seed(kind, text_plan, image_plan, text_rows, image_rows):
    plan, rows = (text_plan(), text_rows) if kind == "text" else (image_plan(), image_rows)
    heads = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        prepared = prepare(plan, silent, never, rows)
        heads.append(prepared.task.model.get_submodule(prepared.task.head).weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_roberta_gets_its_own_head(text_plan, text_rows, roberta_folder):
    plan = text_plan()
    model = dataclasses.replace(plan.model, pooling="cls", location=str(roberta_folder))
    prepared = prepare(dataclasses.replace(plan, model=model), silent, never, text_rows)
    assert isinstance(prepared.task.model.get_submodule(prepared.task.head), RobertaClassificationHead)
    stored = AutoModel.from_pretrained(roberta_folder).state_dict()
    loaded = prepared.task.model.roberta.state_dict()
    assert all(torch.equal(loaded[name], stored[name]) for name in loaded)
    batch = prepared.task.collate([prepared.train[0], prepared.train[1]])
    batch.pop("labels")
    assert prepared.task.model(**batch).logits.shape == (2, 2)
