"""Shapes against published sizes, against injected PEFT models, and against what one training step runs."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from peft import (
    C3AConfig,
    FourierFTConfig,
    LoraConfig,
    PeftConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
)
from safetensors.torch import save
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from cdvft import CDVFTConfig, cost
from cdvft.cost.counter import count_flops
from cdvft_app.shapes import ALL_LINEAR, ModelShapes, model_shapes
from cdvft_app.shapes.architectures import build

LLAMA_3 = "meta-llama/Meta-Llama-3-8B"


@pytest.mark.parametrize(
    ("name", "parameters"),  # without pooler and classification head, with the output layer of a generator
    [
        ("roberta-base", 124_055_040),
        ("bert-base-uncased", 108_891_648),
        ("gpt2", 124_439_808),
        ("meta-llama/Llama-2-7b-hf", 6_738_415_616),
        (LLAMA_3, 8_030_261_248),
        ("meta-llama/Llama-3.2-1B", 1_235_814_400),
        ("Qwen/Qwen2.5-7B", 7_615_616_512),
        ("SmolLM2-135M", 134_515_008),
        ("vit_base_patch16_224", 85_798_656),
        ("google/vit-base-patch16-224-in21k", 85_798_656),
        ("vit_small_patch14_dinov2", 22_056_192),
    ],
)
def test_parameters_are_the_published_ones(name, parameters):
    shapes = model_shapes(name)
    assert shapes.total_parameters == parameters
    assert 0 < shapes.other_parameters < parameters
    everything = (*shapes.layers, *shapes.convolutions)
    found = cost.estimate("full", everything, batch=1, sequence=1, other_parameters=shapes.other_parameters)
    assert found.trainable_parameters == parameters


@pytest.mark.parametrize(
    ("name", "targets", "sizes"),  # d_out, d_in
    [
        ("roberta-base", ("query", "value"), {(768, 768): 24}),
        (LLAMA_3, ("q_proj", "v_proj"), {(4096, 4096): 32, (1024, 4096): 32}),  # grouped queries
        (LLAMA_3, ("down_proj",), {(4096, 14_336): 32}),
        ("Qwen/Qwen2.5-7B", ("q_proj", "v_proj"), {(3584, 3584): 28, (512, 3584): 28}),
        ("gpt2", ("c_attn",), {(2304, 768): 12}),  # Conv1D and fused
        ("gpt2", ("lm_head",), {(50_257, 768): 1}),  # tied to the embedding
        ("vit_base_patch16_224", ("qkv",), {(2304, 768): 12}),
        ("google/vit-base-patch16-224-in21k", ("q_proj", "v_proj"), {(768, 768): 24}),
        ("bert-base", ("output.dense",), {(768, 768): 12, (768, 3072): 12}),  # both end so
        ("bert-base", (ALL_LINEAR,), {(768, 768): 48, (3072, 768): 12, (768, 3072): 12}),
        ("gpt2", (ALL_LINEAR,), {(2304, 768): 12, (768, 768): 12, (3072, 768): 12, (768, 3072): 12}),
    ],
)
def test_targets_select_the_right_layers(name, targets, sizes):
    found = Counter((shape.d_out, shape.d_in) for shape in model_shapes(name).select(targets))
    assert found == sizes


def configuration(method: cost.Method, shapes: ModelShapes, targets: tuple[str, ...]) -> PeftConfig:
    kinds = {
        "cdvft": lambda **common: CDVFTConfig(backend="fft", **common),
        "lora": lambda **common: LoraConfig(r=8, **common),
        "fourierft": lambda **common: FourierFTConfig(n_frequency=1000, **common),
        "c3a": lambda **common: C3AConfig(block_size=cost.c3a_block_size(shapes.select(targets)), **common),
    }
    return kinds[method](target_modules=list(targets))


def adapt(model: nn.Module, config: PeftConfig) -> PeftModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT notes that Conv1D stores its weight transposed
        on_meta = next(model.parameters()).device.type == "meta"
        return get_peft_model(model, config, low_cpu_mem_usage=on_meta)


@pytest.mark.parametrize(
    ("name", "methods"),  # FourierFT draws places among all entries of a layer: minutes for 64 of 4096 x 4096
    [
        ("roberta-base", ("cdvft", "lora", "fourierft", "c3a")),
        ("gpt2", ("cdvft", "lora", "fourierft")),
        ("SmolLM2-135M", ("cdvft", "lora", "fourierft", "c3a")),
        ("vit_base_patch16_224", ("cdvft", "lora", "fourierft", "c3a")),
        ("google/vit-large-patch16-224-in21k", ("cdvft", "lora", "c3a")),
        (LLAMA_3, ("cdvft", "lora", "c3a")),
        ("Qwen/Qwen2.5-7B", ("cdvft", "lora", "c3a")),
    ],
)
def test_counts_equal_those_of_an_injected_full_size_model(name, methods):
    shapes = model_shapes(name)
    for method in methods:
        config = configuration(method, shapes, shapes.default_targets)
        with torch.device("meta"):
            model = adapt(build(name).model, config)
        injected = sum(p.numel() for p in model.parameters() if p.requires_grad)
        found = cost.estimate(method, shapes.select(shapes.default_targets), batch=1, sequence=1)
        assert found.trainable_parameters == injected, method


def test_the_adapter_file_of_a_full_size_model_is_predicted_to_the_byte():
    shapes = model_shapes("roberta-base")
    with torch.device("meta"):
        model = adapt(build("roberta-base").model, configuration("cdvft", shapes, ("query", "value")))
    tensors = {name: torch.zeros(t.shape) for name, t in get_peft_model_state_dict(model).items()}
    found = cost.estimate("cdvft", shapes.select(("query", "value")), batch=1, sequence=1)
    assert found.adapter_bytes == len(save(tensors, metadata={"format": "pt"}))


def _small(kind: str, architecture: str, **more: object) -> dict[str, object]:
    """Small enough to run a step."""
    sizes = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 3, "num_attention_heads": 4}
    return {"model_type": kind, "architectures": [architecture], **sizes, **more}


SMALL: dict[str, dict[str, object]] = {
    "bert": _small("bert", "BertModel", vocab_size=100),
    "vit": _small("vit", "ViTModel", image_size=64, patch_size=8),
    "llama": _small("llama", "LlamaForCausalLM", num_key_value_heads=2, vocab_size=100),
    "gpt2": _small("gpt2", "GPT2LMHeadModel", vocab_size=100),
}


@pytest.fixture
def small(
    request: pytest.FixtureRequest, model_of: Callable[[object], str]
) -> tuple[ModelShapes, nn.Module, dict[str, torch.Tensor]]:
    """A small model by name: its shapes, itself with weights, and a batch of two."""
    name = model_of(SMALL[request.param])
    shapes, config = model_shapes(name), AutoConfig.from_pretrained(name)
    kind = AutoModelForCausalLM if shapes.kind == "generation" else AutoModel
    model = kind.from_config(config).eval()  # dropout's masks are not counted, and would unfuse attention
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    if shapes.kind == "image":
        return shapes, model, {"pixel_values": torch.randn(2, 3, 64, 64)}
    tokens = torch.randint(1, 100, (2, 64))
    return shapes, model, {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}


@pytest.mark.parametrize(
    ("small", "method"),
    [
        (name, method)
        for name in SMALL
        for method in ("cdvft", "lora", "fourierft", "c3a", "full")
        if (name, method) != ("gpt2", "c3a")  # PEFT's C3A does not support Conv1D
    ],
    indirect=["small"],
)
def test_a_whole_step_runs_what_the_formulas_say(small, method):
    shapes, model, batch = small
    adapted = shapes.select(shapes.default_targets)
    if method == "full":
        adapted = (*shapes.layers, *shapes.convolutions)
    else:
        model = adapt(model, configuration(method, shapes, shapes.default_targets))
    sequence = shapes.tokens or 64
    counted = count_flops(lambda: model(**batch)[0].sum().backward())
    own = cost.estimate(method, adapted, batch=2, sequence=sequence)
    backward = shapes.backward_flops_per_token(sequence, None if method == "full" else adapted)
    frozen = 2 * sequence * (shapes.forward_flops_per_token(sequence) + backward)
    assert frozen + own.flops_per_step == pytest.approx(counted, rel=0.01)
