"""Prompts of a batch are answered as if their neighbours were others, to the bit, as by the base model."""

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
"""What the embedding of a token holds, which other prompts have and the first has not."""

needs_compiler = pytest.mark.skipif(native.library() is None, reason="needs a C compiler")
ENGINES = [
    *[("reference", "auto"), ("chunked", "fft"), ("chunked", "merged")],
    *[pytest.param("native", backend, marks=needs_compiler) for backend in ("fft", "merged")],
    ("auto", "auto"),  # what serves by itself
]


def llama(broken: float) -> Any:
    """A tiny model whose last token's embedding is broken; its other rows must not see that."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=50, hidden_size=WIDTH, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, pad_token_id=0, initializer_range=0.2,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        model.get_input_embeddings().weight[49] = broken
    return model


def adapted(broken: float, backend: str) -> Any:
    """With two adapters on every product, one of them in blocks."""
    settings: dict[str, Any] = {"target_modules": "all-linear", "init_weights": False, "backend": backend}
    model = get_peft_model(llama(broken), CDVFTConfig(**settings), adapter_name="a")
    model.add_adapter("b", CDVFTConfig(**settings, block_size=32, m=3))
    return model.eval()


def prompts(neighbours: int, side: str) -> dict[str, Tensor]:
    """The first prompt is the same, whatever the others are; all are padded to one length."""
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


def answered(model: Any, neighbours: int, side: str, **names: Any) -> tuple[Tensor, Tensor]:
    """Logits of the first prompt, of all its tokens and of those written; and what is written."""
    given = prompts(neighbours, side)
    with torch.no_grad():
        read = model(**given, **names).logits[0]
    found = model.generate(
        **given, **names, min_new_tokens=NEW, max_new_tokens=NEW, do_sample=False, output_logits=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    own = given["attention_mask"][0].bool()
    return torch.cat([read[own], *(step[:1] for step in found.logits)]), found.sequences[0]


def independent(model: Any, side: str, **names: Any) -> bool:
    logits, tokens = answered(model, 0, side, **names)
    assert logits.isfinite().all() and logits.std() > 0
    return all(
        torch.equal(own.view(torch.int32), logits.view(torch.int32)) and torch.equal(written, tokens)
        for own, written in (answered(model, neighbours, side, **names) for neighbours in (1, 2, 3))
    )


# Each number, and each side: the kernels are given as many rows on either.
BESIDE = pytest.mark.parametrize(("broken", "side"), [("nan", "right"), ("inf", "left"), ("huge", "right")])


@BESIDE
@pytest.mark.parametrize(("engine", "backend"), ENGINES)
def test_by_every_engine(engine: str, backend: str, broken: str, side: str, monkeypatch) -> None:
    monkeypatch.setenv("CDVFT_ENGINE", engine)
    model = adapted(BROKEN[broken], backend)
    for adapter in ("a", "b"):
        model.set_adapter(adapter)
        assert independent(model, side)


@BESIDE
def test_by_adapters_that_rows_name(broken: str, side: str) -> None:
    model = adapted(BROKEN[broken], "auto")
    for own in ("a", "b"):
        assert independent(model, side, adapter_names=[own, "a", "b", "__base__"])
