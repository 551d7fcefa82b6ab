"""Several adapters trained in one batch: every adapter learns from its own rows alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import get_peft_model

from cdvft import CDVFTConfig, CDVFTLinear

ROWS = ["a", "b", "__base__", "a"]


@pytest.fixture
def two(bert) -> Any:
    """Two adapters with heads of their own, and one that nobody asks for; b is not active."""
    settings = {"target_modules": ["query", "value"], "init_weights": False}
    model = get_peft_model(bert.model(), CDVFTConfig(**settings, modules_to_save=["classifier"]), "a")
    model.add_adapter("b", CDVFTConfig(**settings, m=3, modules_to_save=["classifier"]))
    model.add_adapter("idle", CDVFTConfig(**settings))
    return model


def gradients(model: Any) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def of(found: dict[str, torch.Tensor], adapter: str) -> dict[str, torch.Tensor]:
    return {name: grad for name, grad in found.items() if f".{adapter}." in name}


def training(model: Any) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_gradients_are_those_of_each_adapter_on_its_own_rows(bert, two) -> None:
    with two.base_model.training_by_row(["a", "b"]):
        two.train()
        for module in two.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        bert.outputs(two, adapter_names=ROWS).square().sum().backward()
        found = gradients(two)
    assert {name for name in found if ".idle." in name or "base_layer" in name} == set()
    for adapter in ("a", "b"):
        two.zero_grad()
        two.set_adapter(adapter)
        outputs = bert.outputs(two)
        outputs[[row for row, name in enumerate(ROWS) if name == adapter]].square().sum().backward()
        expected = of(gradients(two), adapter)
        assert len(expected) > 8
        torch.testing.assert_close(of(found, adapter), expected)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("rows", [["a", "b", "c", "sum"], ["sum", "__base__", "b", "b"], ["a"] * 4])
def test_every_row_sees_the_dropout_of_its_own_adapter(monkeypatch, training: bool, rows: list[str]) -> None:
    settings: dict[str, Any] = {"target_modules": ["0"], "init_weights": False}
    base = torch.nn.Sequential(torch.nn.Linear(24, 24))
    model = get_peft_model(base, CDVFTConfig(**settings, cdvft_dropout=0.75), "a")
    model.add_adapter("b", CDVFTConfig(**settings, cdvft_dropout=0.25))
    model.add_adapter("c", CDVFTConfig(**settings))
    model.add_weighted_adapter(["a", "b", "c"], [0.5, 2.0, 1.0], "sum")
    # Alike for every call, as no mask is: what is left on average.
    monkeypatch.setattr(torch.nn.functional, "dropout", lambda x, p, training: x * (1 - p) if training else x)
    layer, x = model.train(training).base_model.model[0], torch.randn(4, 3, 24)
    found = layer(x, adapter_names=rows)
    for row, name in enumerate(rows):
        layer.set_adapter([name])
        torch.testing.assert_close(found[row], layer(x)[row])


def test_what_trained_before_trains_again_afterwards_also_in_a_block_within_a_block(bert, two) -> None:
    before = training(two)
    with two.base_model.training_by_row(["a"]):
        outer = training(two)
        assert outer and all(".a." in name for name in outer)
        with two.base_model.training_by_row(["b"]):
            assert all(".b." in name for name in training(two))
            bert.outputs(two.train(), adapter_names=ROWS)
        assert training(two) == outer
        bert.outputs(two, adapter_names=ROWS)
    assert training(two) == before
    with pytest.raises(ValueError, match=r"in training mode\. Call \.eval\(\) first, or train within"):
        bert.outputs(two, adapter_names=ROWS)


def test_what_is_no_list_of_adapters_with_vectors_is_refused(two) -> None:
    two.add_weighted_adapter(["idle"], [0.5], "sum")
    no_list = r"lists the adapters that train\. Pass a list, such as \['a', 'b', 'idle', 'sum'\]"
    for names, sentence in (
        (["c"], r"non-existing adapter\(s\): c\. Name any of \['a', 'b', 'idle', 'sum'\]"),
        *(("a", no_list), ([], no_list)),
        (["a", "sum"], r"'sum' applies others \(0\.5 x idle\) and has no vectors to train\. Name those"),
    ):
        with pytest.raises(ValueError, match=sentence), two.base_model.training_by_row(names):
            pass


def test_gradient_checkpointing_is_refused(bert, two) -> None:
    two.gradient_checkpointing_enable()
    sentence = r"gradient checkpointing.*gradient_checkpointing_disable\(\)"
    with two.base_model.training_by_row(["a"]), pytest.raises(ValueError, match=sentence):
        bert.outputs(two.train(), adapter_names=ROWS)


def test_disabled_adapters_leave_a_mixed_batch_to_the_base(two) -> None:
    two.eval()
    layer, x = next(one for one in two.modules() if isinstance(one, CDVFTLinear)), torch.randn(4, 3, 24)
    layer.enable_adapters(False)  # PEFT's models pass no names on where all layers are disabled
    assert torch.equal(layer(x, adapter_names=ROWS), layer.base_layer(x))
