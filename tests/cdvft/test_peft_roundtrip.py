"""What a PEFT user does with an adapter, on BERT, GPT-2, Llama and a timm ViT at toy size."""

import json
from typing import Any

import pytest
import torch
from peft import (
    PeftModel,
    convert_to_lora,
    get_peft_model,
    get_peft_model_state_dict,
    inject_adapter_in_model,
    set_peft_model_state_dict,
)
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save_file
from short_training import losses_of
from torch import nn

from cdvft import CDVFTConfig, CDVFTLayer
from cdvft.blocks import parameter_count
from cdvft.circulant import cd_product

SETTINGS = [{}, {"m": 3, "block_size": 7, "alpha": 0.5}]  # the second is padded


def adapted(tiny, seed: int = 0, adapter_name: str = "default", **settings) -> Any:
    options = {"target_modules": tiny.targets, "init_weights": False, "task_type": tiny.task_type}
    config = CDVFTConfig(**options | settings)
    base = tiny.model()
    torch.manual_seed(seed + 100)
    return get_peft_model(base, config, adapter_name=adapter_name).eval()


def layers(model: nn.Module, kind: type = CDVFTLayer) -> list:
    return [module for module in model.modules() if isinstance(module, kind)]


def test_training_starts_at_the_base_and_learns(tiny) -> None:
    base_output = tiny.outputs(tiny.model())
    model = adapted(tiny, init_weights=True, task_type=None)
    assert torch.equal(tiny.outputs(model), base_output)
    trained = [p for n, p in model.named_parameters() if "cdvft_" in n]
    assert trained and all(p.requires_grad and p.dtype == torch.float32 for p in trained)
    losses = losses_of(model, lambda: (tiny.outputs(model) - 1).square().mean(), steps=3, lr=0.01)
    assert losses[-1] < losses[0]
    assert all(layer.get_delta_weight("default").norm() > 0 for layer in layers(model))
    with model.disable_adapter():
        assert torch.equal(tiny.outputs(model), base_output)
    assert torch.equal(tiny.outputs(model.unload()), base_output)


@pytest.mark.parametrize("settings", SETTINGS)
def test_save_and_load(tiny, tmp_path, settings: dict) -> None:
    model = adapted(tiny, **settings)
    expected = tiny.outputs(model)
    model.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors", ".md"}
    saved = load_file(tmp_path / "adapter_model.safetensors")
    m, p = settings.get("m", 2), settings.get("block_size")
    counts = [parameter_count(layer.out_features, layer.in_features, m, p) for layer in layers(model)]
    assert sum(tensor.numel() for key, tensor in saved.items() if "cdvft_" in key) == sum(counts)
    loaded = PeftModel.from_pretrained(tiny.model(), tmp_path).eval()
    assert torch.equal(tiny.outputs(loaded), expected)
    assert not any(p.requires_grad for p in loaded.parameters())


@pytest.mark.parametrize("settings", SETTINGS)
def test_merge_unmerge_and_unload(tiny, settings: dict) -> None:
    model = adapted(tiny, **settings)
    expected, weights = tiny.outputs(model), [layer.weight.detach().clone() for layer in layers(model)]
    model.merge_adapter(safe_merge=True)
    torch.testing.assert_close(tiny.outputs(model), expected, rtol=1e-4, atol=1e-5)
    model.unmerge_adapter()
    torch.testing.assert_close([layer.weight.detach() for layer in layers(model)], weights)
    merged = model.merge_and_unload()
    assert not layers(merged)
    assert {n for n, _ in merged.named_modules()} == {n for n, _ in tiny.model().named_modules()}
    torch.testing.assert_close(tiny.outputs(merged), expected, rtol=1e-4, atol=1e-5)


def test_several_adapters(tiny, tmp_path) -> None:
    model = adapted(tiny, adapter_name="a")
    torch.manual_seed(7)
    model.add_adapter("b", CDVFTConfig(target_modules=tiny.targets[:1], m=3, init_weights=False))
    outputs = {}
    for name in ("a", "b"):
        model.set_adapter(name)
        outputs[name] = tiny.outputs(model)
    assert not torch.allclose(outputs["a"], outputs["b"])
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(tiny.model(), tmp_path / "b", adapter_name="b").eval()
    loaded.load_adapter(tmp_path / "a", adapter_name="a")
    for name in ("b", "a"):
        loaded.set_adapter(name)
        assert torch.equal(tiny.outputs(loaded), outputs[name])
    loaded.delete_adapter("a")
    loaded.set_adapter("b")
    assert torch.equal(tiny.outputs(loaded), outputs["b"])
    assert not any(".a." in key for key in loaded.state_dict() if "cdvft_" in key)


def test_convert_to_lora_at_full_rank(tiny, tmp_path) -> None:
    model = adapted(tiny, **SETTINGS[1])
    config, weights = convert_to_lora(model, rank=1.0)
    config.save_pretrained(tmp_path)
    save_file(weights, tmp_path / "adapter_model.safetensors")
    lora = PeftModel.from_pretrained(tiny.model(), tmp_path).eval()
    for converted, ours in zip(layers(lora, BaseTunerLayer), layers(model), strict=True):
        exact = ours.get_delta_weight("default")
        assert (converted.get_delta_weight("default") - exact).norm() <= 1e-3 * exact.norm()
    torch.testing.assert_close(tiny.outputs(lora), tiny.outputs(model), rtol=0.05, atol=0.01)


@pytest.mark.parametrize(("dtype", "low_cpu_mem_usage"), [(torch.bfloat16, False), (torch.float64, True)])
def test_loading_keeps_float32_vectors(bert, tmp_path, dtype: torch.dtype, low_cpu_mem_usage: bool) -> None:
    model = adapted(bert, task_type=None)
    model.save_pretrained(tmp_path)
    base, expected = bert.model().to(dtype), get_peft_model_state_dict(model)
    loaded = PeftModel.from_pretrained(base, tmp_path, low_cpu_mem_usage=low_cpu_mem_usage).eval()
    found = get_peft_model_state_dict(loaded)
    assert {tensor.dtype for tensor in found.values()} == {torch.float32}
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    output = bert.outputs(loaded)
    assert output.dtype == dtype
    torch.testing.assert_close(output.float(), bert.outputs(model), rtol=0.1, atol=0.1)


def test_injection_without_a_peft_model(tiny) -> None:
    """The low-level functions that transformers and diffusers use."""
    source = adapted(tiny)
    state = {k: v for k, v in get_peft_model_state_dict(source).items() if "cdvft_" in k}
    model = inject_adapter_in_model(CDVFTConfig(target_modules=tiny.targets), tiny.model()).eval()
    assert not set_peft_model_state_dict(model, state).unexpected_keys
    found, expected = (
        [layer.get_delta_weight("default") for layer in layers(each)] for each in (model, source)
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_file_format_is_stable(tmp_path) -> None:
    """A file in the layout of version 0.1, made here by hand, loads and is saved the same."""
    torch.manual_seed(0)
    shapes = {f"diagonals.{place}": [size] for place, size in enumerate((6, 4, 4))}
    shapes |= {f"circulants.{place}": [2, 2, 3] for place in (0, 1)}
    tensors = {f"base_model.model.0.cdvft_{name}": torch.randn(shape) for name, shape in shapes.items()}
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    settings = {"peft_type": "CDVFT", "m": 3, "alpha": 0.5, "block_size": 3, "target_modules": ["0"]}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    model = PeftModel.from_pretrained(nn.Sequential(nn.Linear(6, 4)), tmp_path)
    vectors = list(tensors.values())
    (layer,) = layers(model)
    assert torch.equal(layer.get_delta_weight("default"), 0.5 * cd_product(vectors[:3], vectors[3:]))
    model.save_pretrained(tmp_path / "again")
    again = load_file(tmp_path / "again" / "adapter_model.safetensors")
    torch.testing.assert_close(again, tensors, rtol=0, atol=0)
