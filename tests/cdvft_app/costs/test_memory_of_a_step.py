"""The memory that is shown by formula, beside what torch's profiler counts in a real step."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import (
    BertConfig,
    GPT2Config,
    LlamaConfig,
    ModernBertConfig,
    Phi3Config,
    PretrainedConfig,
    Qwen2Config,
)

from cdvft_app.costs.request import parse_cost
from cdvft_app.costs.table import cost_table
from cdvft_app.measuring.measure import _adapt, _Task
from cdvft_app.shapes import model_shapes
from cdvft_app.shapes.architectures import build

SIZE = {"hidden_size": 96, "num_hidden_layers": 8, "num_attention_heads": 4, "vocab_size": 512}
GPT2 = {"n_embd": 96, "n_layer": 8, "n_head": 4, "vocab_size": 512}
NO_DROPOUT = {"hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0}
BATCH, SEQUENCE = 4, 64


def peak_tensor_bytes(work: Callable[[], None]) -> int:
    """Return the highest number of bytes of tensors alive during `work`."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    assert profiler.profiler
    events = profiler.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    return max(accumulate(change for _, change in changes))


def kept(config: PretrainedConfig, architecture: str, folder: Path) -> tuple[int, int]:
    """Bytes that a step of CDVFT keeps at once, by formula and counted."""
    config.architectures = [architecture]
    config.save_pretrained(folder)
    name = str(folder)
    shapes = model_shapes(name)
    asked = {"model": name, "methods": ["cdvft"], "batch": BATCH, "sequence": SEQUENCE}
    (row,) = cost_table(parse_cost(asked))
    task = _Task(build(name), shapes, labels=2)
    model: Any = _adapt(task, row, shapes).train()
    inputs = task.inputs(BATCH, SEQUENCE, torch.device("cpu"))
    model(*inputs).backward()  # gradients stand from here on
    by_formula = row["activation_bytes"] + row["model_activation_bytes"] + row["logit_bytes"]
    return by_formula, peak_tensor_bytes(lambda: model(*inputs).backward())


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("config", "architecture", "off"),
    [
        (LlamaConfig(intermediate_size=256, **SIZE), "LlamaForCausalLM", 0.02),
        (Qwen2Config(intermediate_size=256, num_key_value_heads=2, **SIZE), "Qwen2ForCausalLM", 0.02),
        (GPT2Config(attn_pdrop=0, resid_pdrop=0, embd_pdrop=0, **GPT2), "GPT2LMHeadModel", 0.08),
        (BertConfig(intermediate_size=384, **SIZE), "BertModel", 0.05),
        (BertConfig(intermediate_size=384, **NO_DROPOUT, **SIZE), "BertModel", 0.10),
        # Fused projections stand beside the turned queries and keys, which are not counted.
        (Phi3Config(intermediate_size=256, pad_token_id=0, **SIZE), "Phi3ForCausalLM", 0.15),
        (ModernBertConfig(intermediate_size=256, pad_token_id=0, **SIZE), "ModernBertModel", 0.20),
    ],
)
def test_formula_and_profiler_agree(
    config: PretrainedConfig, architecture: str, off: float, tmp_path: Path
) -> None:
    by_formula, counted = kept(config, architecture, tmp_path)
    assert by_formula == pytest.approx(counted, rel=off)
