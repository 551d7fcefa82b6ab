"""Generated text is independent, to the bit, of the other prompts in the batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from peft import get_peft_model
from torch import Tensor

from cdvft import CDVFTConfig
from cdvft.kernels import native

WIDTH, ROWS, LENGTH, NEW = 64, 4, 24, 3
BROKEN = {"nan": float("nan"), "inf": float("inf"), "huge": 1e18}
"""The embedding of a token that other prompts contain and the first does not."""

needs_compiler = pytest.mark.skipif(native.library() is None, reason="needs a C compiler")
ENGINES = [
    *[("reference", "auto"), ("chunked", "fft"), ("chunked", "merged")],
    *[pytest.param("native", backend, marks=needs_compiler) for backend in ("fft", "merged")],
    ("auto", "auto"),
]


def adapted(broken: float, backend: str = "auto") -> Any:
    """A tiny model with a broken embedding, and two adapters on every layer, one of them in blocks."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=50, hidden_size=WIDTH, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, pad_token_id=0, initializer_range=0.2,
    )  # fmt: skip
    base = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        base.get_input_embeddings().weight[49] = broken
    settings: dict[str, Any] = {"target_modules": "all-linear", "init_weights": False, "backend": backend}
    model = get_peft_model(base, CDVFTConfig(**settings), adapter_name="a")
    model.add_adapter("b", CDVFTConfig(**settings, block_size=32, m=3))
    return model.eval()


def prompts(neighbours: int, side: str) -> dict[str, Tensor]:
    """The first prompt is the same for every `neighbours`; all are padded to one length."""
    ids = torch.randint(1, 49, (ROWS, LENGTH), generator=torch.Generator().manual_seed(neighbours))
    ids[0] = torch.randint(1, 49, (LENGTH,), generator=torch.Generator().manual_seed(7))
    mask = torch.ones_like(ids)
    for row in range(ROWS):
        missing = 5 if row == 0 else (neighbours + 3 * row) % 11
        padding = slice(0, missing) if side == "left" else slice(LENGTH - missing, LENGTH)
        ids[row, padding], mask[row, padding] = 0, 0
    if neighbours:
        ids[1:, LENGTH // 2] = 49
    return {"input_ids": ids, "attention_mask": mask}


def generated(model: Any, neighbours: int, side: str, **names: Any) -> tuple[Tensor, Tensor]:
    """Logits of all tokens of the first prompt and of the generated ones; the tokens."""
    batch = prompts(neighbours, side)
    with torch.no_grad():
        logits = model(**batch, **names).logits[0]
    found = model.generate(
        **batch, **names, min_new_tokens=NEW, max_new_tokens=NEW, do_sample=False, output_logits=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    own = batch["attention_mask"][0].bool()
    return torch.cat([logits[own], *(step[:1] for step in found.logits)]), found.sequences[0]


def check_independent(model: Any, side: str, **names: Any) -> None:
    logits, tokens = generated(model, 0, side, **names)
    assert logits.isfinite().all() and logits.std() > 0
    for neighbours in (1, 2):
        own, sequence = generated(model, neighbours, side, **names)
        assert torch.equal(own.view(torch.int32), logits.view(torch.int32))
        assert torch.equal(sequence, tokens)


BESIDE = pytest.mark.parametrize(("broken", "side"), [("nan", "right"), ("inf", "left"), ("huge", "right")])


@BESIDE
@pytest.mark.parametrize(("engine", "backend"), ENGINES)
def test_generation_is_independent(engine: str, backend: str, broken: str, side: str, monkeypatch) -> None:
    monkeypatch.setenv("CDVFT_ENGINE", engine)
    model = adapted(BROKEN[broken], backend)
    for adapter in ("a", "b"):
        model.set_adapter(adapter)
        check_independent(model, side)


@BESIDE
def test_generation_by_row_is_independent(broken: str, side: str) -> None:
    model = adapted(BROKEN[broken])
    for own in ("a", "b"):
        check_independent(model, side, adapter_names=[own, "a", "b", "__base__"])
