"""What PEFT's other methods can be asked for: sums of adapters, dropout, tokens, tied weights, refusals."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from peft import PeftModel, convert_to_lora, get_peft_model, inject_adapter_in_model
from peft.utils import set_peft_model_state_dict
from short_training import losses_of
from torch import nn

from cdvft import CDVFTConfig, CDVFTLinear

SETTINGS: dict[str, Any] = {"target_modules": ["query", "value"], "init_weights": False}
OF_LLAMA: dict[str, Any] = {"target_modules": ["q_proj"], "init_weights": False, "task_type": "CAUSAL_LM"}


@pytest.fixture
def three(bert) -> Any:
    """Adapters of several m and layers: b has no value layer."""
    model = get_peft_model(bert.model(), CDVFTConfig(**SETTINGS), "a")
    model.add_adapter("b", CDVFTConfig(init_weights=False, target_modules=["query"], m=3, alpha=0.5))
    model.add_adapter("c", CDVFTConfig(**SETTINGS, block_size=8))
    return model.eval()


def layers(model: nn.Module) -> dict[str, CDVFTLinear]:
    return {name: one for name, one in model.named_modules() if isinstance(one, CDVFTLinear)}


def test_a_sum_is_exact_active_merged_and_in_a_mixed_batch(bert, three) -> None:
    three.add_weighted_adapter(["a", "b"], [2.0, -0.5], "sum")
    by_hand = bert.model()
    for name, layer in layers(three).items():
        path = name.removeprefix("base_model.model.")
        update = 2 * layer.get_delta_weight("a")
        if "query" in name:
            update -= 0.5 * layer.get_delta_weight("b")
        torch.testing.assert_close(layer.get_delta_weight("sum"), update)
        by_hand.get_submodule(path).weight.data += update.detach()
    expected = bert.outputs(by_hand)
    alone = {}
    for name in ("a", "c", "sum"):
        three.set_adapter(name)
        alone[name] = bert.outputs(three)
    torch.testing.assert_close(alone["sum"], expected)
    rows = ["sum", "a", "c", "sum"]
    mixed = bert.outputs(three, adapter_names=rows)
    torch.testing.assert_close(list(mixed), [alone[name][row] for row, name in enumerate(rows)])
    three.set_adapter("sum")
    with three.disable_adapter():
        torch.testing.assert_close(bert.outputs(three), bert.outputs(bert.model()))
    torch.testing.assert_close(bert.outputs(three), expected)
    torch.testing.assert_close(bert.outputs(copy.deepcopy(three).merge_and_unload()), expected)
    three.merge_adapter()
    three.unmerge_adapter()
    torch.testing.assert_close(bert.outputs(three), expected)


def test_sums_follow_their_parts_and_sums_of_sums_are_flat_whatever_they_are_called(three) -> None:
    three.add_weighted_adapter(["a", "c"], torch.tensor([1.0, 1.0]), "both", combination_type="linear")
    three.add_weighted_adapter(["both", "a"], [0.5, 0.25], "nested", combination_type="cat")
    layer = next(iter(layers(three).values()))
    assert dict(layer.resolve_adapter("nested")) == {"a": 0.75, "c": 0.5}
    before = layer.get_delta_weight("nested")
    layer.cdvft_diagonals["a"][-1].data.zero_()
    torch.testing.assert_close(layer.get_delta_weight("nested"), 0.5 * layer.get_delta_weight("c"))
    assert not torch.allclose(layer.get_delta_weight("nested"), before)


def test_a_sum_becomes_lora_with_the_energy_asked_for(bert, three) -> None:
    three.add_weighted_adapter(["a", "b"], [1.0, 1.0], "sum")
    three.delete_adapter("c")
    three.set_adapter("sum")
    expected = bert.outputs(three)
    config, weights = convert_to_lora(three, rank=0.999999, adapter_name="sum")
    lora = inject_adapter_in_model(config, bert.model())
    set_peft_model_state_dict(lora, weights)
    torch.testing.assert_close(bert.outputs(lora.eval()), expected, rtol=1e-2, atol=1e-2)


NO_LIST = r"must be a list with an entry for each part of the sum\. Call add_weighted_adapter\(\['a', 'b'\]"
NO_NUMBER = r"Got the weight .*, but each adapter needs a finite number"
NO_NAME = r"but.*than '__base__'.* Choose another one"
REFUSED = [
    ("ab", [1.0, 1.0], "sum", f"adapters is 'ab', .*{NO_LIST}"),
    ({"a", "b"}, [1.0, 1.0], "sum", f"adapters is {{.*{NO_LIST}"),
    (3, [1.0], "sum", f"adapters is 3, .*{NO_LIST}"),
    (["a"], 1.0, "sum", rf"weights is 1\.0, .*{NO_LIST}"),
    (["a"], "1", "sum", f"weights is '1', .*{NO_LIST}"),
    *((["b", "c"], weights, "sum", NO_LIST) for weights in ({0.3, 0.7}, {"b": 0.3, "c": 0.7}, None)),
    (["b", "c"], [1.0], "sum", "Got 2 adapters and 1 weights"),
    ([], [], "sum", "Got 0 adapters and 0 weights"),
    *((["b", "c"], [weight, 1.0], "sum", NO_NUMBER) for weight in (math.nan, math.inf, "x", 10**400)),
    (["b", "x"], [1.0, 1.0], "sum", r"There is no adapter 'x'\. Name any of \['a', 'b', 'c', 'head'"),
    ([["a"]], [1.0], "sum", r"There is no adapter \['a'\]"),
    (["b", "head"], [1.0, 1.0], "sum", r"'head' trains more than its vectors \(modules_to_save\)"),
    (["b"], [1.0], "c", "There is an adapter 'c' already"),
    *((["a"], [1.0], name, f"adapter_name is {name!r}, {NO_NAME}") for name in ("__base__", "", 7, None)),
    (["a", "b"], [1.0, 1e39], "sum", r"weight of 'b' times its alpha is 5e\+38, but.* 3\.4e\+38.*small"),
    (["a", "late"], [1.0, 1e39], "sum", r"weight of 'late' times its alpha"),  # of later layers
]


def test_what_makes_no_sum_is_refused_in_a_sentence_and_changes_nothing(three) -> None:
    three.add_adapter("head", CDVFTConfig(**SETTINGS, modules_to_save=["classifier"]))
    three.add_adapter("late", CDVFTConfig(target_modules=["value"]))
    for adapters, weights, name, sentence in REFUSED:
        with pytest.raises(ValueError, match=sentence):
            three.add_weighted_adapter(adapters, weights, name)
    for kind in ("ties", "svd", "dare_linear", "magnitude_prune", None):
        with pytest.raises(ValueError, match=rf"type is {kind!r}, but sums are exact.*'linear'.*convert"):
            three.add_weighted_adapter(["b", "c"], [1.0, 1.0], "sum", combination_type=kind)
    assert set(three.peft_config) == {"a", "b", "c", "head", "late"}
    assert not any(layer.cdvft_weighted_adapters for layer in layers(three).values())


def test_a_part_of_a_sum_is_not_deleted(three) -> None:
    three.add_weighted_adapter(["a", "b"], [1.0, 2.0], "sum")
    with pytest.raises(ValueError, match=r"'a' is part of sum\. Delete the sum first"):
        three.delete_adapter("a")
    three.delete_adapter("sum")
    three.delete_adapter("a")
    assert set(three.peft_config) == {"b", "c"}


def test_a_saved_sum_is_loaded_after_its_terms(bert, three, tmp_path) -> None:
    three.add_weighted_adapter(["a", "b"], [2.0, -0.5], "sum")
    three.save_pretrained(tmp_path)
    three.set_adapter("sum")
    expected = bert.outputs(three)
    again = PeftModel.from_pretrained(bert.model(), tmp_path / "a", "a")
    with pytest.raises(
        ValueError, match=r"'sum' is a sum .*: it adds b, which the model does not have\. Load"
    ):
        again.load_adapter(tmp_path / "sum", "sum")
    assert set(again.peft_config) == {"a"}
    again.load_adapter(tmp_path / "b", "b")
    again.load_adapter(tmp_path / "sum", "sum")
    again.set_adapter("sum")
    torch.testing.assert_close(bert.outputs(again.eval()), expected)
    assert not [name for name, p in again.named_parameters() if "sum" in name]
    with pytest.raises(ValueError, match=r"'sum' is a sum .*it adds a, b, which"):
        PeftModel.from_pretrained(bert.model(), tmp_path / "sum", "sum")


def test_dropout_hides_entries_from_the_update_alone_and_only_in_training() -> None:
    torch.manual_seed(0)
    config = CDVFTConfig(target_modules=["0"], init_weights=False, cdvft_dropout=0.25)
    model = get_peft_model(nn.Sequential(nn.Linear(64, 64)), config)
    layer, x = model.base_model.model[0], torch.randn(400, 64)
    whole = layer.base_layer(x) + x @ layer.get_delta_weight("default").T
    torch.testing.assert_close(model.eval()(x), whole)
    with torch.autocast("cpu", torch.bfloat16):  # base layer and update apart
        torch.testing.assert_close(model(x).float(), whole, rtol=0.1, atol=0.1)
    torch.manual_seed(3)
    kept = nn.functional.dropout(x, 0.25)
    expected = layer.base_layer(x) + kept @ layer.get_delta_weight("default").T
    torch.manual_seed(3)
    torch.testing.assert_close(model.train()(x), expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(expected, whole)


def test_trained_tokens_are_saved_and_come_back(llama, tmp_path) -> None:
    model = get_peft_model(llama.model(), CDVFTConfig(**OF_LLAMA, trainable_token_indices=[3, 7]))
    (delta,) = [p for name, p in model.named_parameters() if p.requires_grad and "trainable_tokens" in name]
    assert delta.shape == (2, 24)
    delta.data += 1.0
    expected = llama.outputs(model.eval())
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(llama.model(), tmp_path).eval()
    torch.testing.assert_close(llama.outputs(again), expected)
    torch.testing.assert_close(llama.outputs(again.merge_and_unload()), expected)


@pytest.mark.parametrize(
    "trained", [{"modules_to_save": ["embed_tokens"]}, {"trainable_token_indices": [1, 2]}]
)
def test_tied_embeddings_stay_tied(llama, trained: dict[str, Any]) -> None:
    base = llama.model()
    base.config.tie_word_embeddings = True
    base.tie_weights()
    model = get_peft_model(base, CDVFTConfig(**OF_LLAMA, **trained, ensure_weight_tying=True))
    tokens = torch.arange(1, 8)[None]
    losses_of(model, lambda: model(input_ids=tokens, labels=tokens).loss, steps=1, lr=0.1)
    merged = model.eval().merge_and_unload()
    torch.testing.assert_close(merged.lm_head.weight, merged.model.embed_tokens.weight)


def test_tying_an_adapter_of_an_embedding_is_refused(gpt2) -> None:
    sentence = "ensure_weight_tying is True.*CDVFT adapts no embeddings.*modules_to_save"
    with pytest.raises(ValueError, match=sentence):
        get_peft_model(gpt2.model(), CDVFTConfig(target_modules=["lm_head"], ensure_weight_tying=True))


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(8, 8)
        self.gate_up_proj = nn.Parameter(torch.randn(4, 16, 8))


def test_a_second_name_of_a_target_is_one_and_of_another_layer_is_not() -> None:
    base, config = Experts(), CDVFTConfig(target_modules=["q_proj", "again"])
    base.again = base.q_proj
    second = r"\['again'\] are second names"
    with pytest.warns(RuntimeWarning, match=rf"{second}.*a call by a second name goes past"):
        model = get_peft_model(base, config)
    with pytest.warns(RuntimeWarning, match=second):
        model.add_adapter("second", config)
    assert set(layers(model)) == {"base_model.model.q_proj"}
    base = Experts()
    base.w_proj = base.again = nn.Linear(8, 8)
    with pytest.raises(ValueError, match=r"target_modules \['again'\] not found in the base model"):
        get_peft_model(base, config)


def test_a_name_that_matches_nothing_is_an_error_beside_names_that_match() -> None:
    for name, sentence in (
        ("gate_up_proj", r"\['gate_up_proj'\] are parameters: name them in target_parameters"),
        ("w_proj", r"Linear layers.*'q_proj'"),
    ):
        with pytest.raises(
            ValueError, match=rf"modules \['{name}'\] not found in the base model\. {sentence}"
        ):
            get_peft_model(Experts(), CDVFTConfig(target_modules=["q_proj", name]))
