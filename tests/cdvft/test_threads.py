"""Two threads call one model at a time, each with adapters of its own for its rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
import transformers
from peft import get_peft_model
from torch import Tensor

from cdvft import CDVFTConfig

ROWS = (["a", "b", "__base__"], ["b", "b", "a"], None)
CALLS = 12


@pytest.fixture
def model(llama: Any) -> Any:
    config = CDVFTConfig(target_modules=llama.targets, init_weights=False)
    adapted = get_peft_model(llama.model(), config, "a")
    adapted.add_adapter("b", config)
    return adapted.eval()


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
    writing = {
        "num_beams": 2,
        "do_sample": False,
        "min_new_tokens": 4,
        "max_new_tokens": 4,
        "pad_token_id": 0,
    }

    @torch.no_grad()
    def run(names: list[str] | None) -> Tensor:
        given: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        given |= {} if names is None else {"adapter_names": names}
        return model.generate(**given, **writing) if beams else model(**given).logits

    in_threads(run)


def test_experts_are_those_with_the_update_in_every_thread() -> None:
    """Each call exchanges parameters of a module that all threads share."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"num_key_value_heads": 2, "num_local_experts": 4, "intermediate_size": 48}
    experts = {"target_parameters": ["experts.gate_up_proj", "experts.down_proj"], "target_modules": []}
    config = CDVFTConfig(**experts, init_weights=False)
    mixture = transformers.MixtralForCausalLM(transformers.MixtralConfig(**sizes))
    adapted, ids = get_peft_model(mixture, config).eval(), torch.randint(1, 50, (3, 7))
    in_threads(torch.no_grad()(lambda _: adapted(input_ids=ids).logits))
