"""Which layers are adapted and how, mixed batches with trained heads, and shared weights."""

import pytest
import torch
import transformers
from peft import get_peft_model
from torch import nn

from cdvft import CDVFTConfig, CDVFTLinear
from cdvft.blocks import parameter_count


def adapted_layers(model: nn.Module) -> dict[str, CDVFTLinear]:
    prefix = "base_model.model."
    return {n.removeprefix(prefix): m for n, m in model.named_modules() if isinstance(m, CDVFTLinear)}


def last_names(model: nn.Module) -> set[str]:
    return {name.rsplit(".", 1)[-1] for name in adapted_layers(model)}


@pytest.mark.parametrize(
    ("kind", "targets"),
    [
        ("Phi3", {"qkv_proj"}),
        ("ModernBert", {"Wqkv"}),
        ("ConvNextV2", {"pwconv1", "pwconv2"}),
        *((kind, {"q_proj", "v_proj"}) for kind in ("SmolLM3", "CLIP", "Siglip", "Whisper")),
    ],
)
def test_default_targets_where_peft_has_none_for_lora(kind: str, targets: set[str]) -> None:
    """Built without weights, as large as the architecture is by default."""
    with torch.device("meta"):
        model = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")())
        assert last_names(get_peft_model(model, CDVFTConfig())) == targets


def test_vectors_stay_float32_against_the_wish_to_take_the_dtype_of_the_base_and_say_so(bert) -> None:
    base = bert.model().bfloat16()
    with pytest.warns(UserWarning, match=r"autocast_adapter_dtype=False.*float32.*no bfloat16 FFT") as told:
        model = get_peft_model(base, CDVFTConfig(), autocast_adapter_dtype=False)
        get_peft_model(bert.model(), CDVFTConfig(), autocast_adapter_dtype=False)  # nothing is lost here
    assert len([w for w in told if "autocast_adapter_dtype" in str(w.message)]) == 1
    vectors = [p for name, p in model.named_parameters() if "cdvft_" in name]
    assert vectors and all(p.dtype == torch.float32 for p in vectors)


@pytest.mark.parametrize(
    ("tiny", "targets", "sentence"),
    [
        ("timm_vit", None, r"specify `target_modules`.*model type 'custom'.*'fc1'.*'qkv'"),
        ("bert", ["q_proj"], r"\{'q_proj'\} not found in the base model.*'dense', 'key', 'query', 'value'"),
    ],
    indirect=["tiny"],
)
def test_what_could_be_targeted_is_named_where_nothing_is(tiny, targets: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        get_peft_model(tiny.model(), CDVFTConfig(target_modules=targets))


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


@pytest.mark.parametrize("pattern", ["m_pattern", "block_size_pattern", "alpha_pattern"])
def test_a_pattern_that_matches_nothing_warns(bert, pattern: str) -> None:
    with pytest.warns(RuntimeWarning, match=rf"{pattern} keys did not match.*ignored: \['nowhere'\]"):
        get_peft_model(bert.model(), CDVFTConfig(target_modules=["query"], **{pattern: {"nowhere": 4}}))


def test_all_linear_spares_the_head_and_layers_are_chosen_by_number(bert) -> None:
    model = get_peft_model(bert.model(), CDVFTConfig(target_modules="all-linear", task_type="SEQ_CLS"))
    assert last_names(model) == {"query", "key", "value", "dense"}
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
    """Two adapters with a trained head of their own each, as two tasks leave them, and one without."""
    config = {"init_weights": False, "target_modules": ["query", "value"], "modules_to_save": ["classifier"]}
    model = get_peft_model(bert.model(), CDVFTConfig(**config), adapter_name="a")
    model.add_adapter("b", CDVFTConfig(**config, m=3))
    model.add_adapter("headless", CDVFTConfig(init_weights=False, target_modules=["query"]))
    torch.manual_seed(5)
    for parameter in model.base_model.model.classifier.modules_to_save.parameters():
        nn.init.normal_(parameter)
    return model.eval()


@pytest.mark.parametrize("active", ["a", "headless"])
@pytest.mark.parametrize("rows", [["a", "b", "__base__", "a"], ["headless", "b", "a", "b"], ["headless"] * 4])
def test_mixed_rows_pass_through_their_own_head(bert, with_heads, rows: list[str], active: str) -> None:
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
    for row, name in enumerate(rows):
        torch.testing.assert_close(mixed[row], expected[name][row])
    torch.testing.assert_close(bert.outputs(with_heads), expected[active])  # no hook stays behind


def test_mixed_batch_refusals(bert, with_heads) -> None:
    with pytest.raises(ValueError, match=r"c, d.*'headless'"):
        bert.outputs(with_heads, adapter_names=["d", "c", "a", "a"])
    for names in ([None] * 4, [0, 1, 2, 3], "abab", 4, {"a", "b", "headless", "__base__"}):
        with pytest.raises(ValueError, match="'headless'"):
            bert.outputs(with_heads, adapter_names=names)
    with pytest.raises(ValueError, match="training mode"):
        bert.outputs(with_heads.train(), adapter_names=["a"] * 4)


def test_merging_an_output_embedding_leaves_the_tied_input_embedding_alone(gpt2) -> None:
    base = gpt2.model()
    embedding = base.transformer.wte.weight.detach().clone()
    with pytest.warns(UserWarning, match="tie_word_embeddings"):
        model = get_peft_model(base, CDVFTConfig(target_modules=["lm_head"], init_weights=False)).eval()
        assert base.lm_head.weight is base.transformer.wte.weight
        expected = gpt2.outputs(model)
        merged = model.merge_and_unload()
    torch.testing.assert_close(gpt2.outputs(merged), expected)
    assert torch.equal(base.transformer.wte.weight, embedding)
    assert not merged.config.tie_word_embeddings


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_unmerging_an_output_embedding_ties_it_again(gpt2) -> None:
    base = gpt2.model()
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
    assert model.unload().lm_head.weight is base.transformer.wte.weight


def test_adapters_on_the_same_and_on_other_layers_add_up(bert) -> None:
    """An adapter with both updates gives what the two adapters give when both are active."""
    model = get_peft_model(bert.model(), CDVFTConfig(target_modules=["query"], init_weights=False), "a")
    model.add_adapter("b", CDVFTConfig(target_modules=["query", "value"], init_weights=False))
    model.base_model.set_adapter(["a", "b"])
    both = bert.outputs(model.eval())
    merged = model.merge_and_unload()
    torch.testing.assert_close(bert.outputs(merged), both)
