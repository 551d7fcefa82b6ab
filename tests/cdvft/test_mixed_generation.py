"""Answers written at once by several adapters, in several threads: each is its adapter's own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
import transformers
from peft import get_peft_model
from test_experts import adapted, mixtral
from torch import Tensor

from cdvft import CDVFTConfig

ROWS = ["a", "b"]
INPUTS = {"input_ids": torch.randint(1, 50, (2, 5), generator=torch.Generator().manual_seed(0))}
BEAMS = {"num_beams": 3, "do_sample": False}
SEVERAL = {"num_return_sequences": 3, "do_sample": True}


@pytest.fixture(params=["decoder", "encoder and decoder"])
def two(request: pytest.FixtureRequest, llama) -> Any:
    """Two adapters of different m."""
    if request.param == "decoder":
        base, targets = llama.model(), ["q_proj", "v_proj"]
    else:
        torch.manual_seed(0)
        sizes = {"vocab_size": 50, "d_model": 24, "d_kv": 12, "d_ff": 40, "num_layers": 1, "num_heads": 2}
        config = transformers.T5Config(**sizes, decoder_start_token_id=0)
        base, targets = transformers.T5ForConditionalGeneration(config).eval(), ["q", "v"]
    settings = {"target_modules": targets, "init_weights": False, "alpha": 5.0}
    model = get_peft_model(base, CDVFTConfig(**settings), adapter_name="a")
    model.add_adapter("b", CDVFTConfig(**settings, m=3))
    return model.eval()


def written(model: Any, where: str, options: dict[str, Any], **names: Any) -> tuple[Tensor, Tensor]:
    """Logits of the first token and all tokens, with the options given to `generate` in one of its ways."""
    always = {
        "min_new_tokens": 6, "max_new_tokens": 6, "output_logits": True, "return_dict_in_generate": True,
    }  # fmt: skip
    if where == "arguments":
        given: dict[str, Any] = options
    elif where == "a configuration":
        given = {"generation_config": transformers.GenerationConfig(**options, pad_token_id=0)}
        given["generation_config"].decoder_start_token_id = 0
    else:
        given = {}
        model.generation_config.update(**options)
    torch.manual_seed(0)
    found = model.generate(**INPUTS, **always, **given, **names)
    return found.logits[0], found.sequences


@pytest.mark.parametrize("where", ["arguments", "a configuration", "the model's configuration"])
@pytest.mark.parametrize("options", [{"do_sample": False}, BEAMS, SEVERAL], ids=["one", "beams", "several"])
def test_every_row_is_written_by_its_adapter(two, where: str, options: dict[str, Any]) -> None:
    logits, sequences = written(two, where, options, adapter_names=ROWS)
    repeated, answers = len(logits) // 2, len(sequences) // 2
    assert repeated == max(options.get("num_beams", 1), options.get("num_return_sequences", 1))
    for row, name in enumerate(ROWS):
        two.set_adapter(name)
        alone, texts = written(two, where, options)
        rows = slice(row * repeated, (row + 1) * repeated)
        torch.testing.assert_close(logits[rows], alone[rows])
        own = slice(row * answers, (row + 1) * answers)
        assert sequences[own].tolist() == texts[own].tolist()


def test_a_forward_pass_repeats_nothing_whatever_generation_would(two) -> None:
    two.generation_config.update(**BEAMS)
    inputs = INPUTS | ({"decoder_input_ids": INPUTS["input_ids"]} if two.config.is_encoder_decoder else {})
    two.generate(**INPUTS, max_new_tokens=2, adapter_names=ROWS)
    mixed = two(**inputs, adapter_names=ROWS).logits
    for row, name in enumerate(ROWS):
        two.set_adapter(name)
        torch.testing.assert_close(mixed[row], two(**inputs).logits[row])


NAMES = (["a", "b", "__base__"], ["b", "b", "a"], None)
CALLS = 12


@pytest.fixture
def alike(llama: Any) -> Any:
    config = CDVFTConfig(target_modules=llama.targets, init_weights=False)
    made = get_peft_model(llama.model(), config, "a")
    made.add_adapter("b", config)
    return made.eval()


def in_threads(run: Any) -> None:
    """Each of the batches' answers, again and again at the same time, is what it is alone."""
    expected = [run(names) for names in NAMES]
    with ThreadPoolExecutor(len(NAMES)) as pool:
        found = list(pool.map(run, CALLS * NAMES))
    wrong = [n for n, right in zip(found, CALLS * expected, strict=True) if not torch.equal(n, right)]
    assert len(wrong) == 0, f"{len(wrong)} of {len(found)} answers are wrong"


@pytest.mark.parametrize("beams", [False, True])
def test_each_row_gets_the_adapter_that_its_own_call_names(alike: Any, beams: bool) -> None:
    torch.manual_seed(0)
    ids = torch.randint(1, 50, (3, 7))
    writing = {"num_beams": 2, "do_sample": False, "pad_token_id": 0}
    writing |= {"min_new_tokens": 4, "max_new_tokens": 4}

    @torch.no_grad()
    def run(names: list[str] | None) -> Tensor:
        given: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        given |= {} if names is None else {"adapter_names": names}
        return alike.generate(**given, **writing) if beams else alike(**given).logits

    in_threads(run)


def test_experts_are_those_with_the_update_in_every_thread() -> None:
    """Each call exchanges parameters of a module that all threads share."""
    torch.manual_seed(0)
    mixture, ids = adapted(mixtral()), torch.randint(1, 50, (3, 7))
    in_threads(torch.no_grad()(lambda _: mixture(input_ids=ids).logits))
