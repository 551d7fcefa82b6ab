"""The memory of a step is one number wherever it is said: page, sentence, and JSON."""

from __future__ import annotations

import json
from itertools import product

import pytest

from cdvft_app.costs.request import PRECISIONS, parse_cost
from cdvft_app.decision.comparison import compare
from cdvft_app.decision.decide import decide
from cdvft_app.format import amount
from cdvft_app.methods import METHODS

LLAMA = "meta-llama/Meta-Llama-3-8B"
TERMS = (
    "frozen_bytes", "adapter_weight_bytes", "gradient_bytes", "optimizer_bytes", "activation_bytes",
    "model_activation_bytes", "logit_bytes",
)  # fmt: skip
HELD = [*product(PRECISIONS, (False, True))]
OTHERS = [key for key in METHODS if key not in ("head", "lora")]


def asked(method: str, precision: str, checkpointing: bool, **more: object) -> dict[str, object]:
    return {
        "model": LLAMA, "methods": [method], "batch": 2, "precision": precision,
        "gradient_checkpointing": checkpointing, "device": "h100", **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "precision", "checkpointing"),
    [*(("lora", *held) for held in HELD), *((method, "4bit", True) for method in OTHERS)],
)
def test_one_number_everywhere(method, precision, checkpointing):
    request = parse_cost(asked(method, precision, checkpointing))
    made = decide(request)
    (row,) = made.as_json()["rows"]
    need = row["step_bytes"]
    assert need == sum(row[term] for term in TERMS)
    page = compare(request)
    assert page["rows"] == made.as_json()["rows"]
    assert page["memory"][-1]["texts"] == [amount("bytes", need)]
    assert [term["texts"][0] for term in page["memory"][:-1]] == [amount("bytes", row[t]) for t in TERMS]
    left = 80 * 10**9 - need
    fits = f"no, {amount('bytes', -left)} short" if left < 0 else f"{amount('bytes', left)} left"
    assert fits in page["answers"][0]["texts"][0] and fits in made.answers[0]["texts"][0]
    assert json.loads(json.dumps(made.as_json()))["rows"][0]["step_bytes"] == need
