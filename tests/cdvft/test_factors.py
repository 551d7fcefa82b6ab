"""What is read from adapters and their folders, against PEFT's own results."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import cdvft
from cdvft.factors import (
    delta_weight,
    factors,
    factors_from_folder,
    norm_ratio,
    weight_updates,
)
from cdvft.layer import Factors


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


@pytest.mark.parametrize("settings", [{}, {"m": 3, "block_size": 5, "alpha": 0.5}])
def test_factors_make_pefts_update(tiny, settings: dict, tmp_path: Path) -> None:
    model = adapted(tiny, **settings)
    layers, expected = factors(model), pefts_updates(model)
    assert list(layers) == list(expected)
    for name, layer in layers.items():
        delta = delta_weight(layer)
        assert delta.shape == (layer.diagonals[-1].numel(), layer.diagonals[0].numel())
        transposed = tiny.name == "gpt2"  # Conv1D stores (d_in, d_out)
        torch.testing.assert_close(delta.T if transposed else delta, expected[name])
    model.save_pretrained(tmp_path)
    assert_same(factors_from_folder(tmp_path), layers)


def test_folder_knows_the_settings_of_each_layer(bert, tmp_path: Path) -> None:
    second = r".*layer\.1\..*"
    patterns = {"alpha_pattern": {f"{second}query": 0.25}, "block_size_pattern": {second: 5}}
    model = adapted(bert, alpha=3.0, m_pattern={"query": 4}, modules_to_save=["classifier"], **patterns)
    model.save_pretrained(tmp_path)
    layers = factors_from_folder(tmp_path)
    assert_same(layers, factors(model))
    own = [(name.rsplit(".", 1)[-1], layer.alpha, len(layer.diagonals)) for name, layer in layers.items()]
    assert own == [("query", 3.0, 4), ("value", 3.0, 2), ("query", 0.25, 4), ("value", 3.0, 2)]


METHODS: dict[str, Callable[..., peft.PeftConfig]] = {
    "cdvft": partial(cdvft.CDVFTConfig, init_weights=False),
    "lora": partial(peft.LoraConfig, r=3, init_lora_weights=False),
    "fourierft": partial(peft.FourierFTConfig, n_frequency=20, init_weights=False),
    "c3a": partial(peft.C3AConfig, block_size=8, init_weights=False),
}


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False")
@pytest.mark.parametrize(
    ("tiny", "method"),  # PEFT's C3A takes no transposed layers
    [*(("bert", method) for method in METHODS), *(("gpt2", method) for method in METHODS if method != "c3a")],
    indirect=["tiny"],
)
def test_weight_updates_are_what_merging_adds(method: str, tiny) -> None:
    torch.manual_seed(2)
    model = peft.get_peft_model(tiny.model(), METHODS[method](target_modules=tiny.targets))
    updates = [(layer, delta, weight.clone()) for layer, delta, weight in weight_updates(model)]
    merged = model.merge_and_unload()
    assert len(updates) == (4 if tiny.name == "bert" else 6)
    for layer, delta, weight in updates:
        after = merged.get_submodule(layer).weight
        after = after.T if tiny.name == "gpt2" else after
        torch.testing.assert_close(weight + delta, after, atol=1e-5, rtol=1e-4)
        assert norm_ratio(delta, weight) > 0


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


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "adapter_config.json"),
    "no vectors": (lambda at: (at / "adapter_model.safetensors").unlink(), "adapter_model.safetensors"),
    "no JSON": (lambda at: (at / "adapter_config.json").write_text("{"), "{folder}"),
    "cut short": (lambda at: (at / "adapter_model.safetensors").write_bytes(b"\0" * 4), "{folder}"),
    "another method": (lambda at: edit_config(at, peft_type="LORA"), "'LORA'"),
    "a missing vector": (lambda at: edit_vectors(at, lambda t: t.pop(next(iter(t)))), "(24,)"),
    "a wrong shape": (lambda at: edit_vectors(at, shorten_a_circulant), "(1, 1, 23)"),
}


@pytest.mark.parametrize(("spoil", "name"), BROKEN.values(), ids=BROKEN)
def test_broken_folders_are_rejected(spoil: Callable, name: str, folder: Path) -> None:
    spoil(folder)
    with pytest.raises(ValueError) as caught:
        factors_from_folder(folder)
    assert name.replace("{folder}", str(folder)) in str(caught.value)
