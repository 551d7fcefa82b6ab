"""What a run leaves beside its weights is enough to use them without the app."""

from __future__ import annotations

import json

import pytest
import torch
from listening import run
from peft import AutoPeftModel, PeftModel
from transformers import AutoTokenizer

from cdvft.mean_pooled import MeanPooledForSequenceClassification
from cdvft_app.tasks import saved
from cdvft_app.training import trainable

TEXTS = ["good film", "the very bad plot the the the", "awful"]


def probabilities(model: torch.nn.Module, tokenizer) -> list[list[float]]:
    with torch.no_grad():
        logits = model.eval()(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits
    return logits.softmax(-1).tolist()


def own(plan, folder) -> list[list[float]]:
    return [list(one.probabilities) for one in trainable.load_trained(plan, folder)[0].predict(TEXTS)]


def near(rows: list[list[float]]) -> list:
    return [pytest.approx(row, abs=1e-5) for row in rows]


def labels_and_length_are_kept(folder, base, length) -> None:
    record = saved.read(folder)
    assert (record.task, record.labels) == ("text-classification", ("negative", "positive"))
    assert (record.base_model, record.revision) == (str(base), None)
    assert (record.pooling, record.head, record.max_length) == ("mean", "classifier", length)


def test_adapter_of_default_recipe_loads_with_peft(text_plan, text_rows, bert_folder, tmp_path):
    plan = text_plan("cdvft", max_steps=4, learning_rate=0.1, max_length=20)
    _, done = run(plan, text_rows, tmp_path)
    folder = done.adapter_folder
    labels_and_length_are_kept(folder, bert_folder, 20)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(bert_folder)
    base = MeanPooledForSequenceClassification.from_pretrained(
        config["base_model_name_or_path"], num_labels=2
    )
    loaded = PeftModel.from_pretrained(base, folder)
    assert probabilities(loaded, AutoTokenizer.from_pretrained(folder)) == near(own(plan, folder))
    by_itself = AutoPeftModel.from_pretrained(folder, num_labels=2, import_allowlist=["cdvft"])
    assert probabilities(by_itself, AutoTokenizer.from_pretrained(folder)) == near(own(plan, folder))
