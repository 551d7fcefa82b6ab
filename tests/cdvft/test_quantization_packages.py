"""The packages that quantize, on the CPU: torchao and bitsandbytes.

PEFT imports each of them wherever it finds it, so they are not installed beside the other tests: one test
runs the others of this file in a process that has them.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import PeftModel, get_peft_model
from short_training import losses_of

from cdvft import CDVFTConfig


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not importlib.util.find_spec(package), reason=f"needs {package}")


def loaded(path: Path, quantization: Any = None) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(
        path, quantization_config=quantization, dtype=torch.float32, device_map="cpu"
    )


def torchao(path: Path) -> Any:
    from torchao.quantization import Int8WeightOnlyConfig

    return loaded(path, transformers.TorchAoConfig(Int8WeightOnlyConfig()))


def bnb_8bit(path: Path) -> Any:
    return loaded(path, transformers.BitsAndBytesConfig(load_in_8bit=True))


def bnb_4bit(path: Path) -> Any:
    return loaded(path, transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4"))


KINDS = [
    pytest.param(torchao, "torchao", 0.05, marks=needs("torchao")),
    pytest.param(bnb_8bit, "bnb 8bit", 0.05, marks=needs("bitsandbytes")),
    pytest.param(bnb_4bit, "bnb 4bit", 0.4, marks=needs("bitsandbytes")),
]
TOKENS = torch.arange(1, 17)[None]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = transformers.LlamaConfig(vocab_size=64, **shape)
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    return model.eval()(input_ids=TOKENS).logits


def trained(frozen: Any, name: str) -> Any:
    """A model with adapters of two layers, which learned for some steps on weights quantized by `name`."""
    model = get_peft_model(frozen, CDVFTConfig(target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    status = model.get_model_status()
    assert (status.quantization_backend, status.num_adapter_layers) == (name, 2)
    losses = losses_of(model, lambda: model(input_ids=TOKENS, labels=TOKENS).loss, steps=4, lr=0.01)
    assert losses[-1] < losses[0]
    return model


@pytest.mark.parametrize(("quantized", "name", "error"), KINDS)
def test_quantized_models_train_save_and_merge(base, quantized, name, error, tmp_path) -> None:
    model = trained(quantized(base), name)
    with torch.no_grad():  # an update larger than the weight, beside which rounding is small
        for parameter in (p for p in model.parameters() if p.requires_grad):
            parameter.normal_(std=0.4)
    with model.disable_adapter():
        bare = logits(model)
    apart = logits(model)
    model.save_pretrained(tmp_path / "adapter")
    again = PeftModel.from_pretrained(quantized(base), tmp_path / "adapter")
    torch.testing.assert_close(logits(again), apart)
    with pytest.warns(UserWarning, match=name):
        model.merge_adapter()
    effect = (apart - bare).norm()
    assert (logits(model) - apart).norm() < error * effect
    layers = [one for one in model.modules() if hasattr(one, "merge_error")]
    assert all(0 < layer.merge_error < error for layer in layers)
    model.unmerge_adapter()
    assert (logits(model) - apart).norm() < 2 * error * effect
    with pytest.warns(UserWarning, match="q_proj"):
        merged = again.merge_and_unload()
    assert (logits(merged) - apart).norm() < error * effect


@pytest.mark.mirror
@pytest.mark.nightly
@pytest.mark.skipif(bool(importlib.util.find_spec("torchao")), reason="needs an environment without torchao")
def test_packages_in_their_own_process(tmp_path: Path) -> None:
    packages = ["torchao>=0.18,<1", "bitsandbytes>=0.48,<1"]
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path)]
    subprocess.run([*install, *packages], check=True)
    paths = [str(tmp_path), str(Path(__file__).parents[2])]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", __file__, "-p", "no:cacheprovider"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"\b3 passed, 1 skipped", done.stdout), done.stdout[-300:]
