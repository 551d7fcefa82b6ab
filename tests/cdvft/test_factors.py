"""What is read from adapters and their folders against PEFT's own answers."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import cdvft
from cdvft.factors import (
    delta_weight,
    effective_rank,
    factors,
    factors_from_folder,
    norm_ratio,
    singular_values,
    weight_updates,
)
from cdvft.layer import Factors

CONFIGS = {
    "default": {},
    "m = 3": {"m": 3, "alpha": 0.5},
    "small blocks with padding": {"m": 3, "block_size": 5},
}


def adapted(tiny, **kwargs: object) -> peft.PeftModel:
    config = cdvft.CDVFTConfig(target_modules=tiny.targets, init_weights=False, **kwargs)
    return peft.get_peft_model(tiny.model(), config)


def pefts_updates(model: nn.Module) -> dict[str, Tensor]:
    return {
        name.removeprefix("base_model.model."): layer.get_delta_weight("default").detach()
        for name, layer in model.named_modules()
        if hasattr(layer, "get_delta_weight")
    }


def assert_same(ours: dict[str, Factors], theirs: dict[str, Factors]) -> None:
    assert ours.keys() == theirs.keys()
    for name, layer in ours.items():
        torch.testing.assert_close(layer, theirs[name], rtol=0, atol=0)


@pytest.mark.parametrize("kwargs", CONFIGS.values(), ids=CONFIGS)
def test_delta_weight_is_pefts(tiny, kwargs: dict) -> None:
    model = adapted(tiny, **kwargs)
    layers = factors(model)
    expected = pefts_updates(model)
    assert list(layers) == list(expected)
    for name, layer in layers.items():
        delta = delta_weight(layer)
        transposed = tiny.name == "gpt2"  # Conv1D stores (d_in, d_out)
        torch.testing.assert_close(delta.T if transposed else delta, expected[name])
        assert delta.shape == (layer.diagonals[-1].numel(), layer.diagonals[0].numel())


@pytest.mark.parametrize("kwargs", CONFIGS.values(), ids=CONFIGS)
def test_a_saved_folder_gives_the_same_factors(tiny, kwargs: dict, tmp_path: Path) -> None:
    model = adapted(tiny, **kwargs)
    model.save_pretrained(tmp_path)
    assert_same(factors_from_folder(tmp_path), factors(model))


def test_a_folder_knows_the_alpha_of_each_layer(bert, tmp_path: Path) -> None:
    model = adapted(
        bert, alpha=3.0, alpha_pattern={r".*layer\.1\..*query": 0.25}, modules_to_save=["classifier"]
    )
    model.save_pretrained(tmp_path)
    layers = factors_from_folder(tmp_path)
    assert_same(layers, factors(model))
    assert [layer.alpha for name, layer in layers.items() if "query" in name] == [3.0, 0.25]


def test_a_folder_knows_the_m_and_blocks_of_each_layer(bert, tmp_path: Path) -> None:
    model = adapted(bert, m_pattern={"query": 4}, block_size_pattern={r".*layer\.1\..*": 5})
    model.save_pretrained(tmp_path)
    layers = factors_from_folder(tmp_path)
    assert_same(layers, factors(model))
    assert {name.rsplit(".", 1)[-1]: len(layer.diagonals) for name, layer in layers.items()} == {
        "query": 4,
        "value": 2,
    }


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_vectors_in_another_dtype_are_read_in_float32_or_wider(
    dtype: torch.dtype, bert, tmp_path: Path
) -> None:
    model = adapted(bert).to(dtype)
    model.save_pretrained(tmp_path)
    for layers in (factors(model), factors_from_folder(tmp_path)):
        for name, layer in layers.items():
            delta = delta_weight(layer)
            assert delta.dtype == torch.promote_types(dtype, torch.float32)
            torch.testing.assert_close(delta, pefts_updates(model)[name])
            assert singular_values(delta).isfinite().all()


def test_layers_of_a_folder_are_in_the_order_of_their_numbers(folder: Path) -> None:
    def rename(tensors: dict[str, Tensor]) -> None:
        for name in [name for name in tensors if "layer.1." in name]:
            tensor = tensors.pop(name)
            for number in (10, 2):
                tensors[name.replace("layer.1.", f"layer.{number}.")] = tensor.clone()

    edit_vectors(folder, rename)
    assert [name.split(".")[3] for name in factors_from_folder(folder)] == ["0", "0", "2", "2", "10", "10"]


def test_factors_are_copies_and_names_are_those_of_the_base_model(bert) -> None:
    model = adapted(bert)
    layers = factors(model)
    base = dict(bert.model().named_modules())
    assert all(isinstance(base[name], nn.Linear) for name in layers)
    before = delta_weight(next(iter(layers.values())))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    torch.testing.assert_close(delta_weight(next(iter(layers.values()))), before, rtol=0, atol=0)


def test_one_of_several_adapters(bert) -> None:
    model = adapted(bert)
    model.add_adapter("other", cdvft.CDVFTConfig(target_modules=["value"], m=3, init_weights=False))
    other = factors(model, "other")
    assert len(other) == 2 and all("value" in name for name in other)
    for update in weight_updates(model, "other"):
        torch.testing.assert_close(update.delta, delta_weight(other[update.layer]))
    assert len(list(weight_updates(model, "other"))) == 2


def test_the_updates_of_a_weighted_sum(bert) -> None:
    model = adapted(bert)
    model.add_adapter("other", cdvft.CDVFTConfig(target_modules=["value"], m=3, init_weights=False))
    model.base_model.add_weighted_adapter(["default", "other"], [2.0, -0.5], "both")
    parts = {name: {u.layer: u.delta for u in weight_updates(model, name)} for name in ("default", "other")}
    both = list(weight_updates(model, "both"))
    assert [update.layer for update in both] == list(parts["default"])
    for layer, delta, _ in both:
        other = parts["other"].get(layer, torch.zeros(()))
        torch.testing.assert_close(delta, 2 * parts["default"][layer] - 0.5 * other)


METHODS: dict[str, Callable[[list[str]], peft.PeftConfig]] = {
    "cdvft": lambda targets: cdvft.CDVFTConfig(target_modules=targets, init_weights=False),
    "lora": lambda targets: peft.LoraConfig(target_modules=targets, r=3, init_lora_weights=False),
    "fourierft": lambda targets: peft.FourierFTConfig(
        target_modules=targets, n_frequency=20, init_weights=False
    ),
    "c3a": lambda targets: peft.C3AConfig(target_modules=targets, block_size=8, init_weights=False),
}


@pytest.mark.parametrize("method", METHODS)
def test_weight_updates_are_what_merging_adds(method: str, bert) -> None:
    check_updates_against_merging(method, bert)


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False")
@pytest.mark.parametrize("method", ["cdvft", "lora", "fourierft"])
def test_weight_updates_of_transposed_layers(method: str, gpt2) -> None:
    check_updates_against_merging(method, gpt2)


def check_updates_against_merging(method: str, tiny) -> None:
    torch.manual_seed(2)
    model = peft.get_peft_model(tiny.model(), METHODS[method](tiny.targets))
    updates = [(layer, delta, weight.clone()) for layer, delta, weight in weight_updates(model)]
    merged = dict(model.merge_and_unload().named_modules())
    assert len(updates) == (4 if tiny.name == "bert" else 6)
    for layer, delta, weight in updates:
        after = merged[layer].weight.detach()
        torch.testing.assert_close(
            weight + delta, after.T if tiny.name == "gpt2" else after, atol=1e-5, rtol=1e-4
        )
        assert norm_ratio(delta, weight) > 0


def test_of_dora_no_update_is_given_that_lacks_its_magnitudes(bert) -> None:
    config = peft.LoraConfig(target_modules=bert.targets, r=2, use_dora=True, init_lora_weights=False)
    with pytest.raises(NotImplementedError, match="magnitudes"):
        list(weight_updates(peft.get_peft_model(bert.model(), config)))


@pytest.mark.parametrize("method", ["cdvft", "lora"])
def test_weight_updates_of_convolutions_are_matrices(method: str) -> None:
    model = peft.get_peft_model(nn.Sequential(nn.Conv2d(8, 12, 1)), METHODS[method](["0"]))
    (update,) = weight_updates(model)
    assert update.delta.shape == update.weight.shape == (12, 8)
    assert norm_ratio(update.delta, update.weight) > 0
    expected = update.weight + update.delta
    torch.testing.assert_close(model.merge_and_unload()[0].weight.flatten(1), expected)


def test_the_effective_rank_of_lora_is_at_most_r_and_that_of_cdvft_is_not(bert) -> None:
    ranks = {}
    for method in ("lora", "cdvft"):
        torch.manual_seed(2)
        model = peft.get_peft_model(bert.model(), METHODS[method](bert.targets))
        ranks[method] = [effective_rank(singular_values(update.delta)) for update in weight_updates(model)]
    assert all(1 < rank <= 3 for rank in ranks["lora"])
    assert all(rank > 10 for rank in ranks["cdvft"])


@pytest.fixture
def folder(bert, tmp_path: Path) -> Path:
    adapted(bert).save_pretrained(tmp_path)
    return tmp_path


def edit_config(folder: Path, **changes: object) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def edit_vectors(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, folder / "adapter_model.safetensors")


def shorten_a_circulant(tensors: dict[str, Tensor]) -> None:
    name = next(name for name in tensors if "circulants" in name)
    tensors[name] = tensors[name][..., :-1].contiguous()


def add_a_vector(folder: Path) -> None:
    edit_vectors(
        folder,
        lambda tensors: tensors.update(
            {name[:-1] + "2": tensor.clone() for name, tensor in tensors.items() if "diagonals.1" in name}
        ),
    )


BROKEN: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no folder": (shutil.rmtree, ["adapter_config.json", "save_pretrained"]),
    "no vectors": (lambda at: (at / "adapter_model.safetensors").unlink(), ["adapter_model.safetensors"]),
    "no JSON": (lambda at: (at / "adapter_config.json").write_text("{"), ["cannot be read"]),
    "no method": (lambda at: (at / "adapter_config.json").write_text("{}"), ["cannot be read", "peft_type"]),
    "cut short": (lambda at: (at / "adapter_model.safetensors").write_bytes(b"\0" * 4), ["cannot be read"]),
    "another method": (lambda at: edit_config(at, peft_type="LORA"), ["'LORA'", "weight_updates"]),
    "bad setting": (lambda at: edit_config(at, m=1), ["m is 1"]),
    "m too large": (lambda at: edit_config(at, m=3), ["m = 3", "(24,)"]),
    "m too small": (add_a_vector, ["m = 2", "2: (24,)"]),
    "a missing vector": (lambda at: edit_vectors(at, lambda t: t.pop(next(iter(t)))), ["(24,)"]),
    "a wrong shape": (lambda at: edit_vectors(at, shorten_a_circulant), ["(1, 1, 23)"]),
    "no CDVFT vectors": (
        lambda at: edit_vectors(at, lambda t: (t.clear(), t.update(x=torch.ones(1)))),
        ["no vectors"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_folders_are_explained(name: str, folder: Path) -> None:
    spoil, words = BROKEN[name]
    spoil(folder)
    with pytest.raises(ValueError) as caught:
        factors_from_folder(folder)
    for word in words:
        assert word in str(caught.value)


def test_models_without_the_adapter_are_explained(bert) -> None:
    model = adapted(bert)
    for read in (factors, lambda *args: list(weight_updates(*args))):
        with pytest.raises(ValueError, match="'missing'"):
            read(model, "missing")
        with pytest.raises(ValueError, match="'default'"):
            read(bert.model())
    model.merge_adapter()
    with pytest.raises(ValueError, match="unmerge_adapter"):
        list(weight_updates(model))
