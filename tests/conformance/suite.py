"""PEFT's test classes with their tables of cases replaced by CDVFT's.

Tests that PEFT parametrizes over its methods run over these rows instead; `selection` drops the others.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import tempfile
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from cdvft import CDVFTConfig

if importlib.util.find_spec("diffusers") is None:
    # Imported by the suite for tests of diffusion models only, none of which is selected.
    stub = types.ModuleType("diffusers")
    stub.StableDiffusionPipeline = type("StableDiffusionPipeline", (), {})  # type: ignore[attr-defined]
    sys.modules["diffusers"] = stub


def upstream(name: str) -> types.ModuleType:
    return importlib.import_module(f"peft_suite.{name}")


custom = upstream("test_custom_models")


class SquareMLP(custom.MLP):
    """PEFT's toy model with a square layer, which none of its own has."""

    def __init__(self) -> None:
        super().__init__()
        self.lin0, self.lin1 = nn.Linear(10, 10), nn.Linear(10, 2)


load_peft_toy = custom.MockTransformerWrapper.from_pretrained


def load_toy(model_id: str, dtype: torch.dtype | None = None) -> nn.Module:
    if model_id == "SquareMLP":
        torch.manual_seed(0)
        return SquareMLP().to(dtype or torch.float32)
    return load_peft_toy(model_id, dtype)


custom.MockTransformerWrapper.from_pretrained = load_toy
SCRATCH = tempfile.TemporaryDirectory(prefix="cdvft-conformance-")  # removed when pytest ends


def tiny(kind: str, config: transformers.PretrainedConfig) -> str:
    """Folder of a tiny random model that stands in for one of the hub's of the same kind."""
    folder = Path(SCRATCH.name, f"tiny-random-{kind}")
    torch.manual_seed(0)
    getattr(transformers, kind)(config).save_pretrained(folder)
    return str(folder)


SMALL = {"vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2}
SMALL |= {"num_attention_heads": 4, "intermediate_size": 40}
GPT2 = transformers.GPT2Config(
    vocab_size=100, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=1, eos_token_id=2
)
LLAMA = transformers.LlamaConfig(**SMALL, num_key_value_heads=2, pad_token_id=0)
BERT = transformers.BertConfig(**SMALL)
T5 = transformers.T5Config(
    vocab_size=100, d_model=32, d_kv=8, d_ff=40, num_layers=2, num_heads=4, decoder_start_token_id=0
)
BART = transformers.BartConfig(
    vocab_size=100, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
    decoder_attention_heads=4, encoder_ffn_dim=40, decoder_ffn_dim=40, max_position_embeddings=64,
)  # fmt: skip


def toy(name: str, model: str, **settings: Any) -> tuple:
    return f"CDVFT {name}", model, CDVFTConfig, settings


def architecture_rows(task_type: str) -> list[tuple]:
    rows: list[dict[str, Any]] = [{}, {"m": 3, "block_size": 8, "alpha": 0.5}]
    return [(CDVFTConfig, {"task_type": task_type, "target_modules": None, **row}) for row in rows]


TOYS = [
    toy("square", "SquareMLP", target_modules="lin0"),
    toy("square, blocks", "SquareMLP", target_modules=["lin0"], block_size=5),
    toy("square, padded", "SquareMLP", target_modules=["lin0"], block_size=4),
    toy("square, m = 3", "SquareMLP", target_modules=["lin0"], m=3),
    toy("d_in < d_out", "MLP", target_modules=["lin0"]),
    toy("d_in > d_out", "MLP", target_modules=["lin1"]),
    toy("two targets, m = 4, padded", "MLP", target_modules=["lin0", "lin1"], m=4, block_size=7, alpha=0.1),
    toy("zero circulant", "MLP", target_modules=["lin0"], init_weights="zero_circulant"),
    toy("zero input diagonal", "MLP", target_modules=["lin0"], init_weights="zero_input"),
    toy("with a trained head", "MLP", target_modules=["lin0"], modules_to_save=["lin1"]),
    toy("transformers' Conv1D", "EmbConv1D", target_modules=["conv1d"]),
]
SAME = {"target_modules": ["lin0"], "init_weights": False}
OTHER = {**SAME, "target_modules": ["lin1"]}


def random(**settings: Any) -> CDVFTConfig:
    return CDVFTConfig(**{**SAME, **settings})


SEVERAL_ACTIVE = [
    ("CDVFT same layer", "cdvft", CDVFTConfig, SAME, SAME),
    ("CDVFT same layer, other m and blocks", "cdvft", CDVFTConfig, SAME, {**SAME, "m": 3, "block_size": 5}),
    ("CDVFT other layer", "cdvft", CDVFTConfig, SAME, OTHER),
]
HEAD = {"modules_to_save": ["lin1"]}

# By module: tables that replace one of PEFT's, named as there.
TABLES: dict[str, dict[str, Sequence]] = {
    "test_custom_models": {
        "TEST_CASES": TOYS,
        "ALL_PEFT_CONFIG_CLASSES": [CDVFTConfig],
        "MULTIPLE_ACTIVE_ADAPTERS_TEST_CASES": SEVERAL_ACTIVE,
        "MIXED_ADAPTER_TEST_CASES": [("CDVFT mixed", random(), random(m=3, block_size=4))],
    },
    "test_config": {
        "ALL_CONFIG_CLASSES": [(CDVFTConfig, {})],
        "LAYER_INDEXING_CONFIG_CLASSES": [(CDVFTConfig, {})],
    },
    "test_decoder_models": {
        "PEFT_DECODER_MODELS_TO_TEST": [tiny("GPT2LMHeadModel", GPT2), tiny("LlamaForCausalLM", LLAMA)],
        "ALL_CONFIGS": architecture_rows("CAUSAL_LM"),
    },
    "test_encoder_decoder_models": {
        "PEFT_ENCODER_DECODER_MODELS_TO_TEST": [
            tiny("T5ForConditionalGeneration", T5),
            tiny("BartForConditionalGeneration", BART),
        ],
        "ALL_CONFIGS": architecture_rows("SEQ_2_SEQ_LM"),
    },
    "test_feature_extraction_models": {
        "PEFT_FEATURE_EXTRACTION_MODELS_TO_TEST": [tiny("BertModel", BERT)],
        "ALL_CONFIGS": architecture_rows("FEATURE_EXTRACTION"),
    },
    "test_seq_classifier": {
        "PEFT_SEQ_CLS_MODELS_TO_TEST": [
            tiny("BertForSequenceClassification", BERT),
            tiny("LlamaForSequenceClassification", LLAMA),
        ],
        "ALL_CONFIGS": architecture_rows("SEQ_CLS"),
    },
}
# By test: rows for tests whose table stands inline.
INLINE = {
    "test_mixed_adapter_batches_different_target_layers": [
        ("CDVFT", random(), random(target_modules=["lin1"]))
    ],
    "test_mixed_adapter_batches_multiple_modules_to_save": [("CDVFT", random(**HEAD), random(**HEAD, m=3))],
    "test_mixed_adapter_batches_partly_overlapping_target_layers": [
        ("CDVFT", random(), random(target_modules=["lin0", "lin1"]))
    ],
}


# Some tests run only for methods on a list; CDVFT takes the place of one that is on it.
common = upstream("testing_common")
common.RoadConfig = CDVFTConfig  # mixed batches
common.LoHaConfig = CDVFTConfig  # transformers' Conv1D
upstream("test_decoder_models").LoraConfig = CDVFTConfig  # mixed batches
# This one asks for LoRA by its class, as tests of LoRA alone do, so that it alone sees another class there.
BEAMS = "_test_generate_with_mixed_adapter_batches_and_beam_search"
beams = getattr(common.PeftCommonTester, BEAMS)
with_ours = types.FunctionType(beams.__code__, {**vars(common), "LoraConfig": CDVFTConfig}, BEAMS)
setattr(common.PeftCommonTester, BEAMS, with_ours)


def replaced(test: Any, tables: dict[int, Sequence]) -> None:
    """Give a test CDVFT's rows wherever it is parametrized by a table of PEFT's that is replaced."""
    marks = getattr(test, "pytestmark", [])
    for index, mark in enumerate(marks):
        if mark.name == "parametrize":
            rows = INLINE.get(test.__name__, tables.get(id(mark.args[1])))
            if rows is not None:
                marks[index] = pytest.mark.parametrize(mark.args[0], rows).mark


for module_name, rows_by_name in TABLES.items():
    module = upstream(module_name)
    by_identity = {id(getattr(module, name)): rows for name, rows in rows_by_name.items()}
    for class_name, test_class in vars(module).items():
        if class_name.startswith("Test") and test_class.__module__ == module.__name__:
            for test in vars(test_class).values():
                replaced(test, by_identity)
            globals()[class_name] = test_class
