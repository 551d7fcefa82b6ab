"""Two threads call one model at a time, each with adapters of its own for its rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from peft import get_peft_model
from test_experts import adapted, mixtral
from torch import Tensor

from cdvft import CDVFTConfig

ROWS = (["a", "b", "__base__"], ["b", "b", "a"], None)
CALLS = 12


@pytest.fixture
def model(llama: Any) -> Any:
    config = CDVFTConfig(target_modules=llama.targets, init_weights=False)
    made = get_peft_model(llama.model(), config, "a")
    made.add_adapter("b", config)
    return made.eval()


def in_threads(run: Any) -> None:
    """Each of the batches' answers, again and again at the same time, is what it is alone."""
    expected = [run(names) for names in ROWS]
    with ThreadPoolExecutor(len(ROWS)) as pool:
        asked = [which for _ in range(CALLS) for which in range(len(ROWS))]
        found = list(pool.map(lambda which: run(ROWS[which]), asked))
    wrong = [n for which, n in zip(asked, found, strict=True) if not torch.equal(n, expected[which])]
    assert len(wrong) == 0, f"{len(wrong)} of {len(asked)} answers are wrong"


@pytest.mark.parametrize("beams", [False, True])
def test_each_row_gets_the_adapter_that_its_own_call_names(model: Any, beams: bool) -> None:
    torch.manual_seed(0)
    ids = torch.randint(1, 50, (3, 7))
    writing = {"num_beams": 2, "do_sample": False, "pad_token_id": 0}
    writing |= {"min_new_tokens": 4, "max_new_tokens": 4}

    @torch.no_grad()
    def run(names: list[str] | None) -> Tensor:
        given: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        given |= {} if names is None else {"adapter_names": names}
        return model.generate(**given, **writing) if beams else model(**given).logits

    in_threads(run)


def test_experts_are_those_with_the_update_in_every_thread() -> None:
    """Each call exchanges parameters of a module that all threads share."""
    torch.manual_seed(0)
    mixture, ids = adapted(mixtral()), torch.randint(1, 50, (3, 7))
    in_threads(torch.no_grad()(lambda _: mixture(input_ids=ids).logits))
