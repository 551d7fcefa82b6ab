"""Which layers are adapted and how, mixed batches, trained heads, tokens, dropout, and shared weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from peft import get_peft_model
from short_training import losses_of
from torch import nn

from cdvft import CDVFTConfig, CDVFTLinear
from cdvft.blocks import parameter_count

OF_LLAMA: dict[str, Any] = {"target_modules": ["q_proj"], "init_weights": False, "task_type": "CAUSAL_LM"}


def adapted_layers(model: nn.Module) -> dict[str, CDVFTLinear]:
    prefix = "base_model.model."
    return {n.removeprefix(prefix): m for n, m in model.named_modules() if isinstance(m, CDVFTLinear)}


def last_names(model: nn.Module) -> set[str]:
    return {name.rsplit(".", 1)[-1] for name in adapted_layers(model)}


@pytest.mark.parametrize(
    ("kind", "targets"),
    [
        *[("Phi3", {"qkv_proj"}), ("ModernBert", {"Wqkv"}), ("ConvNextV2", {"pwconv1", "pwconv2"})],
        *((kind, {"q_proj", "v_proj"}) for kind in ("SmolLM3", "CLIP", "Siglip", "Whisper")),
    ],
)
def test_default_targets(kind: str, targets: set[str]) -> None:
    with torch.device("meta"):
        model = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")())
        assert last_names(get_peft_model(model, CDVFTConfig())) == targets


def test_patterns_by_layer(bert) -> None:
    config = CDVFTConfig(
        target_modules=["query", "value", "dense"], exclude_modules=["pooler.dense"], init_weights=False,
        m_pattern={"query": 3, r"layer\.0\.output\.dense": 4}, alpha=0.5, block_size=24,
        block_size_pattern={"value": 8, r"layer\.1\.output\.dense": 5},
        alpha_pattern={"layer.0.attention.self.query": 2.5},
    )  # fmt: skip
    found = adapted_layers(get_peft_model(bert.model(), config))
    layers = {name.removeprefix("bert.encoder."): layer for name, layer in found.items()}
    assert "bert.pooler.dense" not in layers
    for name, layer in layers.items():
        p = 8 if name.endswith("value") else 5 if name == "layer.1.output.dense" else 24
        diagonals, circulants, alpha = layer.factors("default")
        assert circulants[0].shape[-1] == p
        assert alpha == (2.5 if name == "layer.0.attention.self.query" else 0.5)
        m = 3 if name.endswith("query") else 4 if name == "layer.0.output.dense" else 2
        assert (len(diagonals), len(circulants)) == (m, m - 1)
        count = sum(t.numel() for t in (*diagonals, *circulants))
        assert count == parameter_count(layer.out_features, layer.in_features, m, p)


def test_all_linear_and_layers_to_transform(bert) -> None:
    model = get_peft_model(bert.model(), CDVFTConfig(target_modules="all-linear", task_type="SEQ_CLS"))
    assert last_names(model) == {"query", "key", "value", "dense"}  # without the head
    config = CDVFTConfig(target_modules=["query"], layers_to_transform=[1], layers_pattern="layer")
    layers = adapted_layers(get_peft_model(bert.model(), config))
    assert list(layers) == ["bert.encoder.layer.1.attention.self.query"]


@pytest.mark.parametrize("bias", ["none", "all", "cdvft_only"])
def test_bias(bert, bias: str) -> None:
    model = get_peft_model(bert.model(), CDVFTConfig(target_modules=["query"], bias=bias))
    trained = {n for n, p in model.named_parameters() if p.requires_grad and "cdvft_" not in n}
    biases = {n for n, _ in model.named_parameters() if n.endswith("bias")}
    assert trained == {"none": set(), "all": biases, "cdvft_only": {n for n in biases if "query" in n}}[bias]


@pytest.fixture
def with_heads(bert):
    """Two adapters with a trained head each, and one without."""
    config = {"init_weights": False, "target_modules": ["query", "value"], "modules_to_save": ["classifier"]}
    model = get_peft_model(bert.model(), CDVFTConfig(**config), adapter_name="a")
    model.add_adapter("b", CDVFTConfig(**config, m=3))
    model.add_adapter("headless", CDVFTConfig(init_weights=False, target_modules=["query"]))
    torch.manual_seed(5)
    for parameter in model.base_model.model.classifier.modules_to_save.parameters():
        nn.init.normal_(parameter)
    return model.eval()


@pytest.mark.parametrize("active", ["a", "headless"])
@pytest.mark.parametrize("rows", [["a", "b", "__base__", "a"], ["headless", "b", "a", "b"]])
def test_mixed_rows_use_their_own_head(bert, with_heads, rows: list[str], active: str) -> None:
    expected = {}
    for name in ("a", "b", "headless"):
        with_heads.set_adapter(name)
        expected[name] = bert.outputs(with_heads)
    with with_heads.disable_adapter():
        expected["__base__"] = bert.outputs(with_heads)
    distinct = list(expected.values())
    assert not any(torch.allclose(a, b) for i, a in enumerate(distinct) for b in distinct[:i])
    with_heads.set_adapter(active)
    mixed = bert.outputs(with_heads, adapter_names=rows)
    torch.testing.assert_close(list(mixed), [expected[name][row] for row, name in enumerate(rows)])
    torch.testing.assert_close(bert.outputs(with_heads), expected[active])  # no hook stays behind


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_tied_output_embedding_merges_alone_and_ties_again(gpt2) -> None:
    base = gpt2.model()
    embedding = base.transformer.wte.weight.detach().clone()
    config = CDVFTConfig(target_modules=["lm_head"], init_weights=False)
    model = get_peft_model(base, config, "a").eval()
    model.add_adapter("b", config)
    apart, names = gpt2.outputs(model), set(model.state_dict())
    model.merge_adapter(["a"])
    torch.testing.assert_close(gpt2.outputs(model), apart)
    assert base.lm_head.weight is not base.transformer.wte.weight
    model.merge_adapter(["b"])
    assert set(model.state_dict()) == names
    model.unmerge_adapter()
    assert base.lm_head.weight is base.transformer.wte.weight
    assert torch.equal(gpt2.outputs(model), apart)
    merged = model.merge_and_unload()
    torch.testing.assert_close(gpt2.outputs(merged), apart)
    assert torch.equal(base.transformer.wte.weight, embedding)
    assert not merged.config.tie_word_embeddings


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


def test_dropout_applies_to_the_update_in_training() -> None:
    torch.manual_seed(0)
    config = CDVFTConfig(target_modules=["0"], init_weights=False, cdvft_dropout=0.25)
    model = get_peft_model(nn.Sequential(nn.Linear(64, 64)), config)
    layer, x = model.base_model.model[0], torch.randn(400, 64)
    whole = layer.base_layer(x) + x @ layer.get_delta_weight("default").T
    torch.testing.assert_close(model.eval()(x), whole)
    torch.manual_seed(3)
    kept = nn.functional.dropout(x, 0.25)
    expected = layer.base_layer(x) + kept @ layer.get_delta_weight("default").T
    torch.manual_seed(3)
    torch.testing.assert_close(model.train()(x), expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(expected, whole)
