"""The mean-pooled classifier is a transformers model: saved, found by the Auto classes, adapted."""

from __future__ import annotations

import pytest
import torch
from peft import PeftModel, get_peft_model
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
)

from cdvft import CDVFTConfig
from cdvft.mean_pooled import MeanPooledForSequenceClassification as MeanPooled

SIZES = {"vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 24, "initializer_range": 0.3}
TOKENS = torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
NAMES = {0: "no", 1: "maybe", 2: "yes"}


@pytest.fixture
def encoder() -> BertModel:
    torch.manual_seed(0)
    return BertModel(BertConfig(**SIZES)).eval()


def classifier(encoder: BertModel) -> MeanPooled:
    named = {"id2label": NAMES, "label2id": {name: place for place, name in NAMES.items()}}
    return MeanPooled.on(encoder, **named).eval()


@torch.no_grad()
def logits(model: torch.nn.Module, mask: torch.Tensor = MASK) -> torch.Tensor:
    return model(input_ids=TOKENS, attention_mask=mask).logits


@torch.no_grad()
def test_mean_skips_padding(encoder):
    model = classifier(encoder)
    means = [encoder(tokens).last_hidden_state.mean(1) for tokens in (TOKENS[:1], TOKENS[1:, :2])]
    expected = model.classifier(torch.cat(means))
    torch.testing.assert_close(logits(model), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(model(TOKENS[:1]).logits, expected[:1], rtol=0, atol=1e-5)
    padding_only = logits(model, torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0]]))
    torch.testing.assert_close(padding_only[1], model.classifier.bias)


def test_saved_model_loads_through_auto_classes(encoder, tmp_path):
    model = classifier(encoder)
    model.save_pretrained(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).id2label == NAMES
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert isinstance(again, MeanPooled)
    assert torch.equal(logits(again), logits(model))


def test_adapters_load_onto_it(encoder, tmp_path):
    encoder.save_pretrained(tmp_path / "base")
    config = CDVFTConfig(target_modules=["query"], task_type="SEQ_CLS", init_weights=False)
    adapted = get_peft_model(MeanPooled.from_pretrained(tmp_path / "base", num_labels=3), config).eval()
    adapted.save_pretrained(tmp_path / "adapter")
    base = MeanPooled.from_pretrained(tmp_path / "base", num_labels=3)
    loaded = PeftModel.from_pretrained(base, tmp_path / "adapter")
    at_once = MeanPooled.from_pretrained(tmp_path / "adapter", num_labels=3)
    for again in (loaded, at_once):
        torch.testing.assert_close(logits(again.eval()), logits(adapted), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "targets"),
    [
        ({"num_labels": 3}, [2, 0]),
        ({"num_labels": 1}, [[0.5], [-1.0]]),
        ({"num_labels": 1}, [3, -1]),
        ({"num_labels": 3, "problem_type": "multi_label_classification"}, [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]),
    ],
)
def test_loss_matches_transformers(encoder, settings, targets):
    labels = torch.tensor(targets)
    model = MeanPooled.on(encoder, **settings)
    theirs = BertForSequenceClassification(BertConfig(**SIZES, **settings)).eval()
    found = model(TOKENS, MASK, labels=labels)
    theirs.classifier.register_forward_hook(lambda *_: found.logits)
    torch.testing.assert_close(found.loss, theirs(TOKENS, MASK, labels=labels).loss)
    found.loss.backward()
    assert model.classifier.weight.grad.any()
