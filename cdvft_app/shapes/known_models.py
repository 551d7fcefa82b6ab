"""Configurations of well-known models, so that their cost can be computed without a network."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class KnownModel:
    """A model by its full id, with the configuration that its shapes follow from.

    For transformers `configuration` has the sizes of its config.json (the class's defaults are left out); for
    timm, whose names imply their sizes, it is empty and `architecture` is the name.
    """

    id: str
    library: Literal["transformers", "timm"]
    aliases: tuple[str, ...] = ()
    configuration: Mapping[str, object] = field(default_factory=dict)
    architecture: str = ""


def _bert(hidden: int, layers: int, heads: int, **more: object) -> dict[str, object]:
    return {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_size": hidden,
        "intermediate_size": 4 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        **more,
    }


def _roberta(hidden: int, layers: int, heads: int) -> dict[str, object]:
    sizes = {"vocab_size": 50_265, "max_position_embeddings": 514, "type_vocab_size": 1}
    return {
        **_bert(hidden, layers, heads, **sizes),
        "model_type": "roberta",
        "architectures": ["RobertaModel"],
    }


def _llama(hidden: int, intermediate: int, layers: int, heads: int, **more: object) -> dict[str, object]:
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        **more,
    }


def _like_llama(kind: str, sizes: dict[str, object]) -> dict[str, object]:
    """The configuration of another family whose sizes have the same names."""
    return {**sizes, "model_type": kind, "architectures": [f"{kind.capitalize()}ForCausalLM"]}


def _vit(hidden: int, layers: int, heads: int) -> dict[str, object]:
    sizes = {"image_size": 224, "patch_size": 16}
    return {**_bert(hidden, layers, heads, **sizes), "model_type": "vit", "architectures": ["ViTModel"]}


KNOWN_MODELS: tuple[KnownModel, ...] = (
    KnownModel("FacebookAI/roberta-base", "transformers", ("roberta_base",), _roberta(768, 12, 12)),
    KnownModel("FacebookAI/roberta-large", "transformers", ("roberta_large",), _roberta(1024, 24, 16)),
    KnownModel("google-bert/bert-base-uncased", "transformers", ("bert-base",), _bert(768, 12, 12)),
    KnownModel("sentence-transformers/all-MiniLM-L6-v2", "transformers", ("minilm",), _bert(384, 6, 12)),
    KnownModel(
        "intfloat/multilingual-e5-small",
        "transformers",
        ("e5_small",),
        _bert(384, 12, 12, vocab_size=250_037),
    ),
    KnownModel(
        "openai-community/gpt2",
        "transformers",
        configuration={"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]},
    ),
    KnownModel(
        "meta-llama/Llama-2-7b-hf",
        "transformers",
        ("llama-2-7b",),
        _llama(4096, 11_008, 32, 32, vocab_size=32_000, max_position_embeddings=4096),
    ),
    KnownModel(
        "meta-llama/Meta-Llama-3-8B",
        "transformers",
        ("llama-3-8b", "meta-llama/Llama-3-8B", "llama3_8b", "meta-llama/Llama-3-8B-Instruct"),
        _llama(4096, 14_336, 32, 32, num_key_value_heads=8, vocab_size=128_256, max_position_embeddings=8192),
    ),
    KnownModel(
        "meta-llama/Llama-3.1-8B",
        "transformers",
        ("llama-3.1-8b-instruct", "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Meta-Llama-3.1-8B"),
        _llama(
            4096, 14_336, 32, 32, num_key_value_heads=8, vocab_size=128_256, max_position_embeddings=131_072
        ),
    ),
    KnownModel(
        "meta-llama/Llama-3.2-1B",
        "transformers",
        ("llama-3.2-1b-instruct", "meta-llama/Llama-3.2-1B-Instruct", "llama32_1b"),
        _llama(
            2048,
            8192,
            16,
            32,
            num_key_value_heads=8,
            vocab_size=128_256,
            max_position_embeddings=131_072,
            tie_word_embeddings=True,
        ),
    ),
    KnownModel(
        "meta-llama/Llama-3.2-3B",
        "transformers",
        ("llama-3.2-3b-instruct", "meta-llama/Llama-3.2-3B-Instruct", "llama32_3b"),
        _llama(
            3072,
            8192,
            28,
            24,
            num_key_value_heads=8,
            vocab_size=128_256,
            max_position_embeddings=131_072,
            tie_word_embeddings=True,
        ),
    ),
    KnownModel(
        "Qwen/Qwen2.5-0.5B",
        "transformers",
        ("qwen2.5-0.5b-instruct", "Qwen/Qwen2.5-0.5B-Instruct", "qwen25_05b"),
        _like_llama(
            "qwen2",
            _llama(
                896,
                4864,
                24,
                14,
                num_key_value_heads=2,
                vocab_size=151_936,
                max_position_embeddings=32_768,
                tie_word_embeddings=True,
            ),
        ),
    ),
    KnownModel(
        "mistralai/Mistral-7B-v0.1",
        "transformers",
        ("mistral-7b",),
        _like_llama(
            "mistral",
            _llama(
                4096, 14_336, 32, 32, num_key_value_heads=8, vocab_size=32_000, max_position_embeddings=32_768
            ),
        ),
    ),
    KnownModel(
        "Qwen/Qwen2.5-7B",
        "transformers",
        ("qwen2.5-7b-instruct", "Qwen/Qwen2.5-7B-Instruct", "qwen25_7b"),
        _like_llama(
            "qwen2",
            _llama(
                3584,
                18_944,
                28,
                28,
                num_key_value_heads=4,
                vocab_size=152_064,
                max_position_embeddings=131_072,
            ),
        ),
    ),
    KnownModel(
        "HuggingFaceTB/SmolLM2-135M",
        "transformers",
        ("smollm2", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        _llama(
            576,
            1536,
            30,
            9,
            num_key_value_heads=3,
            vocab_size=49_152,
            max_position_embeddings=8192,
            tie_word_embeddings=True,
        ),
    ),
    KnownModel("google/vit-base-patch16-224-in21k", "transformers", ("vit-b/16",), _vit(768, 12, 12)),
    KnownModel("google/vit-large-patch16-224-in21k", "transformers", ("vit-l/16",), _vit(1024, 24, 16)),
    KnownModel("timm/vit_base_patch16_224", "timm", ("vit_base",), architecture="vit_base_patch16_224"),
    KnownModel("timm/vit_large_patch16_224", "timm", ("vit_large",), architecture="vit_large_patch16_224"),
    KnownModel(
        "timm/vit_small_patch14_dinov2", "timm", ("vit_small",), architecture="vit_small_patch14_dinov2"
    ),
    KnownModel(
        "timm/vit_base_patch14_dinov2", "timm", ("dinov2_base",), architecture="vit_base_patch14_dinov2"
    ),
)


def find(name: str) -> KnownModel | None:
    """The known model of this id, of its part after the slash, or of an alias, in any case; None if none."""
    wanted_name = name.casefold()
    for model in KNOWN_MODELS:
        if wanted_name in {part.casefold() for part in (model.id, model.id.split("/")[-1], *model.aliases)}:
            return model
    return None


def nearest(name: str, most: int = 3) -> list[str]:
    """Short names of the known models that are spelled most like this one, the nearest first; maybe none."""
    by_name = {
        known.split("/")[-1].casefold(): model.id.split("/")[-1]
        for model in KNOWN_MODELS
        for known in (*model.aliases, model.id)
    }
    found = difflib.get_close_matches(
        name.rsplit("/", maxsplit=1)[-1].casefold(), by_name, n=2 * most, cutoff=0.5
    )
    return list(dict.fromkeys(by_name[like] for like in found))[:most]
