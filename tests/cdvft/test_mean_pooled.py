"""The mean-pooled classifier is a transformers model: made, saved, found by the Auto classes, adapted."""

from __future__ import annotations

import pytest
import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
)

from cdvft import CDVFTConfig
from cdvft.mean_pooled import MeanPooledForSequenceClassification

SIZES = {"vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 24, "initializer_range": 0.3}
TOKENS = torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
NAMES = {0: "no", 1: "maybe", 2: "yes"}


@pytest.fixture
def encoder() -> BertModel:
    torch.manual_seed(0)
    return BertModel(BertConfig(**SIZES)).eval()


def classifier(encoder: BertModel) -> MeanPooledForSequenceClassification:
    named = {"id2label": NAMES, "label2id": {name: place for place, name in NAMES.items()}}
    return MeanPooledForSequenceClassification.on(encoder, **named).eval()


@torch.no_grad()
def logits(model: torch.nn.Module) -> torch.Tensor:
    return model(input_ids=TOKENS, attention_mask=MASK).logits


@torch.no_grad()
def test_the_mean_is_over_all_tokens_but_padding_and_padding_alone_gets_the_bias(encoder):
    model = classifier(encoder)
    means = [encoder(tokens).last_hidden_state.mean(1) for tokens in (TOKENS[:1], TOKENS[1:, :2])]
    expected = model.classifier(torch.cat(means))
    torch.testing.assert_close(logits(model), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(model(TOKENS[:1]).logits, expected[:1], rtol=0, atol=1e-5)
    found = model(input_ids=TOKENS, attention_mask=torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0]])).logits
    torch.testing.assert_close(found[1], model.classifier.bias)
    torch.testing.assert_close(found[0], expected[0])


def test_a_loaded_encoder_keeps_its_weights_and_the_head_starts_as_torch_starts_it(encoder):
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    torch.manual_seed(7)
    expected = torch.nn.Linear(16, 3)
    torch.manual_seed(7)
    model = classifier(encoder)
    torch.testing.assert_close(model.classifier.state_dict(), expected.state_dict(), rtol=0, atol=0)
    kept = model.backbone.state_dict()
    assert kept and all(torch.equal(kept[name], before[name]) for name in kept)


def test_what_is_saved_comes_back_through_the_auto_classes(encoder, tmp_path):
    model = classifier(encoder)
    model.save_pretrained(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).id2label == NAMES
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert isinstance(again, MeanPooledForSequenceClassification)
    assert torch.equal(logits(again), logits(model))


def test_an_encoder_of_its_own_gets_a_fresh_head(encoder, tmp_path):
    encoder.save_pretrained(tmp_path)
    model = MeanPooledForSequenceClassification.from_pretrained(tmp_path, num_labels=3)
    stored = load_file(tmp_path / "model.safetensors")
    kept = model.backbone.state_dict()
    assert kept and all(torch.equal(kept[name], stored[name]) for name in kept)
    assert model.classifier.weight.shape == (3, 16)
    assert 0 < model.classifier.weight.abs().max() <= 16**-0.5  # torch's own start of a linear layer


def test_an_adapter_is_loaded_onto_it_as_onto_any_model(encoder, tmp_path):
    encoder.save_pretrained(tmp_path / "base")
    make = MeanPooledForSequenceClassification.from_pretrained
    config = CDVFTConfig(target_modules=["query"], task_type="SEQ_CLS", init_weights=False)
    adapted = get_peft_model(make(tmp_path / "base", num_labels=3), config).eval()
    adapted.save_pretrained(tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(make(tmp_path / "base", num_labels=3), tmp_path / "adapter")
    at_once = make(tmp_path / "adapter", num_labels=3)
    for again in (loaded, at_once):
        torch.testing.assert_close(logits(again.eval()), logits(adapted), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "targets"),
    [
        ({"num_labels": 3}, [2, 0]),
        ({"num_labels": 1}, [0.5, -1.0]),
        ({"num_labels": 1}, [[0.5], [-1.0]]),
        ({"num_labels": 1}, [3, -1]),
        ({"num_labels": 3, "problem_type": "multi_label_classification"}, [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]),
    ],
    ids=["classes", "numbers", "numbers in a column", "whole numbers", "several labels each"],
)
def test_the_loss_is_that_of_transformers_own_classifiers(encoder, settings, targets):
    targets = torch.tensor(targets)
    model = MeanPooledForSequenceClassification.on(encoder, **settings)
    theirs = BertForSequenceClassification(BertConfig(**SIZES, **settings)).eval()
    found = model(TOKENS, MASK, labels=targets)
    theirs.classifier.register_forward_hook(lambda *_: found.logits)
    torch.testing.assert_close(found.loss, theirs(TOKENS, MASK, labels=targets).loss)
    found.loss.backward()
    assert model.classifier.weight.grad.any()
