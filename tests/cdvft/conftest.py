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


@dataclass(frozen=True)
class Tiny:
    """An architecture at toy size: how to build it, what to adapt, and its outputs on fixed inputs."""

    name: str
    build: Callable[[], nn.Module]
    targets: list[str]
    inputs: Callable[[], dict[str, Tensor]]
    task_type: str | None = None
    auto_class: str | None = None

    def model(self, seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        return self.build().eval()

    def outputs(self, model: nn.Module, **kwargs: Any) -> Tensor:
        torch.manual_seed(1)
        inputs = self.inputs()
        if self.name == "timm_vit":
            return model(inputs["x"])
        return model(**inputs, **kwargs).logits


def _bert() -> nn.Module:
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=WIDTH,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_labels=3,
        initializer_range=0.3,  # large enough for outputs to tell adapters apart
    )
    return transformers.BertForSequenceClassification(config)


def _gpt2() -> nn.Module:
    config = transformers.GPT2Config(
        vocab_size=50,
        n_embd=WIDTH,
        n_layer=2,
        n_head=2,
        n_positions=16,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=0,
    )
    return transformers.GPT2LMHeadModel(config)


def _llama() -> nn.Module:
    config = transformers.LlamaConfig(
        vocab_size=50,
        hidden_size=WIDTH,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    return transformers.LlamaForCausalLM(config)


def _timm_vit() -> nn.Module:
    return timm.models.vision_transformer.VisionTransformer(
        img_size=16, patch_size=8, embed_dim=WIDTH, depth=2, num_heads=2, num_classes=3
    )


def _tokens() -> dict[str, Tensor]:
    return {"input_ids": torch.randint(1, 50, (4, 7))}


def _images() -> dict[str, Tensor]:
    return {"x": torch.randn(4, 3, 16, 16)}


_BERT = Tiny("bert", _bert, ["query", "value"], _tokens, "SEQ_CLS", "AutoPeftModelForSequenceClassification")
_GPT2 = Tiny("gpt2", _gpt2, ["c_attn", "c_proj"], _tokens, "CAUSAL_LM", "AutoPeftModelForCausalLM")  # Conv1D
_LLAMA = Tiny(
    "llama", _llama, ["q_proj", "v_proj", "down_proj"], _tokens, "CAUSAL_LM", "AutoPeftModelForCausalLM"
)
_TIMM_VIT = Tiny("timm_vit", _timm_vit, ["qkv", "attn.proj"], _images)  # qkv is one fused layer, 24 -> 72


@pytest.fixture(params=[_BERT, _GPT2, _LLAMA, _TIMM_VIT], ids=lambda tiny: tiny.name)
def tiny(request: pytest.FixtureRequest) -> Tiny:
    """Each architecture in turn."""
    return request.param


@pytest.fixture
def bert() -> Tiny:
    return _BERT


@pytest.fixture
def gpt2() -> Tiny:
    return _GPT2


@pytest.fixture
def llama() -> Tiny:
    return _LLAMA


@pytest.fixture
def timm_vit() -> Tiny:
    return _TIMM_VIT
