"""Tiny models made from configurations alone, so that nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import timm
import torch
import transformers
from torch import Tensor, nn

WIDTH = 24
SIZES = {"vocab_size": 50, "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"initializer_range": 0.3}  # large enough for outputs to tell adapters apart


@dataclass(frozen=True)
class Tiny:
    """An architecture at toy size: how to build it, what to adapt, and its outputs on fixed inputs."""

    name: str
    build: Callable[[], nn.Module]
    targets: list[str]
    task_type: str | None = None

    def model(self, seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        return self.build().eval()

    def inputs(self) -> dict[str, Tensor]:
        return {"input_ids": torch.randint(1, 50, (4, 7))}

    def outputs(self, model: nn.Module, **kwargs: Any) -> Tensor:
        torch.manual_seed(1)
        if self.name == "timm_vit":
            return model(torch.randn(4, 3, 16, 16))
        return model(**self.inputs(), **kwargs).logits


def _bert() -> nn.Module:
    config = transformers.BertConfig(**SIZES, intermediate_size=40, num_labels=3)
    return transformers.BertForSequenceClassification(config)


def _gpt2() -> nn.Module:
    config = transformers.GPT2Config(**SIZES, n_positions=16, bos_token_id=0, eos_token_id=0)
    return transformers.GPT2LMHeadModel(config)


def _llama() -> nn.Module:
    ids = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    config = transformers.LlamaConfig(**SIZES, **ids, intermediate_size=40, num_key_value_heads=1)
    return transformers.LlamaForCausalLM(config)


def _timm_vit() -> nn.Module:
    return timm.models.vision_transformer.VisionTransformer(
        img_size=16, patch_size=8, embed_dim=WIDTH, depth=2, num_heads=2, num_classes=3
    )


TINY = {
    "bert": Tiny("bert", _bert, ["query", "value"], "SEQ_CLS"),
    "gpt2": Tiny("gpt2", _gpt2, ["c_attn", "c_proj"], "CAUSAL_LM"),  # Conv1D
    "llama": Tiny("llama", _llama, ["q_proj", "v_proj", "down_proj"], "CAUSAL_LM"),
    "timm_vit": Tiny("timm_vit", _timm_vit, ["qkv", "attn.proj"]),  # qkv is one fused layer, 24 -> 72
}


@pytest.fixture(params=TINY)
def tiny(request: pytest.FixtureRequest) -> Tiny:
    """Each architecture in turn."""
    return TINY[request.param]


@pytest.fixture
def bert() -> Tiny:
    return TINY["bert"]


@pytest.fixture
def gpt2() -> Tiny:
    return TINY["gpt2"]


@pytest.fixture
def llama() -> Tiny:
    return TINY["llama"]
