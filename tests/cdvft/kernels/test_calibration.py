"""`calibrate` measures engines; the times choose on this machine only."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from peft import get_peft_model
from torch import nn

from cdvft import CDVFTConfig
from cdvft.kernels import autograd_ops, calibrate, engine_choice
from cdvft.kernels.engine_choice import Selection, select, selections

CPU = torch.device("cpu")
KEY = "chunked, merged forward"

pytestmark = pytest.mark.usefixtures("no_times")


def model(d_out: int = 24, d_in: int = 24, **options: Any) -> Any:
    torch.manual_seed(0)
    bare = nn.Sequential(nn.Linear(d_in, d_out), nn.ReLU(), nn.Linear(d_out, d_out))
    return get_peft_model(bare, CDVFTConfig(target_modules=["0", "2"], **options)).base_model.model


def keep_fastest(layer: Any, fastest: str = KEY, tokens: int = 64) -> None:
    """Keep times in which one selection is the fastest."""
    x, factors = torch.empty(tokens, layer.in_features), layer.factors("default")
    problem = engine_choice.problem_key(x, factors.diagonals, factors.circulants, separate=False)
    keys = [s.key for s in selections(x, factors.circulants)]
    assert fastest in keys
    engine_choice.keep_times(problem, CPU, {key: 0.001 if key == fastest else 0.002 for key in keys})


def selected(layer: Any, tokens: int = 64) -> Selection:
    factors, x = layer.factors("default"), torch.empty(tokens, layer.in_features)
    return select(x, factors.diagonals, factors.circulants, separate=False, backend="auto")


def test_calibrate_times_every_selection_once() -> None:
    adapted = model(d_out=48)
    before = {name: tensor.clone() for name, tensor in adapted.state_dict().items()}
    found = calibrate(adapted, 64, seconds=0.01)
    assert {problem.sizes for problem in found} == {(24, 48), (48, 48)}
    plans = ("transforms", "merged forward", "merged gradients")
    keys = {"native, merged", *(f"{engine}, {plan}" for engine in ("native", "chunked") for plan in plans)}
    for seconds in found.values():
        assert set(seconds) == keys
        assert min(seconds.values()) > 0 and max(seconds.values()) < engine_choice.WRONG
    assert all(torch.equal(tensor, before[name]) for name, tensor in adapted.state_dict().items())
    assert all(p.grad is None for p in adapted.parameters())


@pytest.mark.parametrize("fastest", [KEY, "native, transforms", "native, merged"])
def test_select_uses_the_fastest_measured(fastest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = model()[0]
    keep_fastest(layer, fastest)
    assert selected(layer).key == fastest
    monkeypatch.setattr(autograd_ops, "forward", Mock(side_effect=autograd_ops.forward))
    layer(torch.randn(64, 24))
    assert [call.args[3].selection.key for call in autograd_ops.forward.call_args_list] == [fastest]


def test_times_are_kept_per_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = model()[0]
    by_rule = selected(layer)
    keep_fastest(layer)
    engine_choice._table.cache_clear()  # as in another process
    assert selected(layer).key == KEY
    record = json.loads(engine_choice._path(CPU).read_text())
    machine = engine_choice.machine(CPU)
    assert record["machine"] == machine and record["cases"][0]["tokens"] == 64
    assert (machine["torch"], machine["threads"]) == (torch.__version__, torch.get_num_threads())
    for change in ({"torch": "0.1"}, {"name": "another processor"}, {"threads": 99}, {"kernels": "others"}):
        monkeypatch.setattr(engine_choice, "machine", lambda _, change=change: machine | change)
        engine_choice._table.cache_clear()
        assert selected(layer) == by_rule
