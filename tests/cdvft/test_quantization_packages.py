"""The packages that quantize: torchao and bitsandbytes on the CPU, HQQ and GPT-QModel (GPTQ, AWQ) on a GPU.

PEFT imports each of them wherever it finds it, so that they are not installed beside the other tests: one
test runs the others of this file in a process that has both.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import PeftModel, get_peft_model

from cdvft import CDVFTConfig


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not importlib.util.find_spec(package), reason=f"needs {package}")


def torchao() -> Any:
    from torchao.quantization import Int8WeightOnlyConfig

    return transformers.TorchAoConfig(Int8WeightOnlyConfig())


def bnb_8bit() -> Any:
    return transformers.BitsAndBytesConfig(load_in_8bit=True)


def bnb_4bit() -> Any:
    return transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")


def hqq() -> Any:
    return transformers.HqqConfig(nbits=8, group_size=64)


ON_CPU = [
    pytest.param(torchao, "torchao", 0.05, marks=needs("torchao")),
    pytest.param(bnb_8bit, "bnb 8bit", 0.05, marks=needs("bitsandbytes")),
    pytest.param(bnb_4bit, "bnb 4bit", 0.4, marks=needs("bitsandbytes")),
]
ON_GPU = [pytest.param(hqq, "hqq", 0.05, marks=[needs("hqq"), pytest.mark.gpu])]
TOKENS = torch.arange(1, 17)[None]


@pytest.fixture
def base(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = transformers.LlamaConfig(vocab_size=64, **shape, num_key_value_heads=2)
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "base")
    device = "cuda" if request.node.get_closest_marker("gpu") else "cpu"

    def load(quantization: Any) -> Any:
        return transformers.AutoModelForCausalLM.from_pretrained(
            tmp_path / "base", quantization_config=quantization, dtype=torch.float32, device_map=device
        )

    return load


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    return model.eval()(input_ids=TOKENS.to(model.device)).logits.float().cpu()


@pytest.mark.parametrize(("quantization", "name", "error"), [*ON_CPU, *ON_GPU])
def test_trained_saved_loaded_merged_and_unmerged(
    base: Callable[[Any], Any], quantization: Callable[[], Any], name: str, error: float, tmp_path: Path
) -> None:
    targets = ["q_proj", "v_proj"]
    model = get_peft_model(base(quantization()), CDVFTConfig(target_modules=targets, task_type="CAUSAL_LM"))
    status = model.get_model_status()
    assert (status.quantization_backend, status.num_adapter_layers) == (name, 2)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer, losses = torch.optim.Adam(trained, lr=0.01), []
    tokens = TOKENS.to(model.device)
    for _ in range(8):
        optimizer.zero_grad()
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    with torch.no_grad():  # an update larger than the weight, beside which rounding is small
        for parameter in trained:
            parameter.normal_(std=0.4)
    with model.disable_adapter():
        bare = logits(model)
    apart = logits(model)
    model.save_pretrained(tmp_path / "adapter")
    again = PeftModel.from_pretrained(base(quantization()), tmp_path / "adapter")
    torch.testing.assert_close(logits(again), apart)
    with pytest.warns(UserWarning, match=rf"quantized by {name}: rounding .* changed the update by"):
        model.merge_adapter()
    effect = (apart - bare).norm()
    assert (logits(model) - apart).norm() < error * effect
    layers = [one for one in model.modules() if hasattr(one, "merge_error")]
    assert all(0 < layer.merge_error < error for layer in layers)
    model.unmerge_adapter()
    assert (logits(model) - apart).norm() < 2 * error * effect
    with pytest.warns(UserWarning, match="rounding"):
        merged = again.merge_and_unload()
    assert (logits(merged) - apart).norm() < error * effect


@needs("torchao")
def test_torchao_without_transformers_configuration_is_adapted_and_not_merged(llama: Any) -> None:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    base = llama.model()
    quantize_(base, Int8WeightOnlyConfig())
    model = get_peft_model(base, CDVFTConfig(target_modules=["q_proj"], init_weights=False))
    llama.outputs(model).sum().backward()
    with pytest.raises(ValueError, match=r"torchao in a way that cannot be done again.*TorchAoConfig"):
        model.merge_adapter()


@pytest.mark.gpu
@needs("gptqmodel")
@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_what_gptqmodel_quantized_is_adapted_and_trained_and_not_merged(
    base: Callable[[Any], Any], method: str, tmp_path: Path
) -> None:
    from gptqmodel import GPTQModel, QuantizeConfig

    row = {"input_ids": TOKENS[0].tolist(), "attention_mask": [1] * TOKENS.numel()}
    settings = QuantizeConfig(bits=4, group_size=32, method=method)
    quantizing = GPTQModel.load(str(tmp_path / "base"), settings, device="cuda")
    quantizing.quantize([row] * 64)
    quantizing.save(str(tmp_path / "quantized"))
    quantized = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "quantized", device_map="cuda")
    model = get_peft_model(quantized, CDVFTConfig(target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    assert model.get_model_status().quantization_backend == method
    before = logits(model)
    tokens = TOKENS.to(model.device)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for _ in range(4):
        optimizer.zero_grad()
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
    assert not torch.allclose(logits(model), before)
    with pytest.raises(ValueError, match=rf"quantized by {method} in a way that cannot be done again"):
        model.merge_adapter()


@pytest.mark.mirror
@pytest.mark.slow
@pytest.mark.skipif(bool(importlib.util.find_spec("torchao")), reason="the others of this file run here")
def test_in_a_process_that_has_both(tmp_path: Path) -> None:
    packages = ["torchao>=0.18,<1", "bitsandbytes>=0.48,<1"]
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path)]
    subprocess.run([*install, *packages], check=True)
    paths = [str(tmp_path), str(Path(__file__).parents[2])]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", __file__, "-m", "not gpu", "-p", "no:cacheprovider"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"\b4 passed, 1 skipped", done.stdout), done.stdout[-300:]
