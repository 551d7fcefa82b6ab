"""In half precision a large update is merged into the weight, a small one never, however it came about."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from kernel_problem import near
from operators_seen import Watch
from peft import get_peft_model
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cdvft import CDVFTConfig
from cdvft.circulant import Factors, cd_product
from cdvft.kernels import adapted_linear, calibrate, explain, merge_precision
from cdvft.kernels.merge_precision import MEASURE_INTERVAL, update_survives_rounding

EPS = {torch.bfloat16: 2**-7, torch.float16: 2**-10}
WIDTH = 64


class Layer(nn.Module):
    """Frozen in half precision, with an update of a given size: |alpha dW| = ratio |W|."""

    def __init__(self, ratio: float, dtype: torch.dtype = torch.bfloat16, q: int = 1, m: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        p = WIDTH // q
        self.register_buffer("weight", (torch.randn(WIDTH, WIDTH) / WIDTH**0.5).to(dtype))
        self.diagonals = nn.ParameterList(torch.randn(WIDTH) for _ in range(m))
        self.circulants = nn.ParameterList(torch.randn(q, q, p) / WIDTH**0.5 for _ in range(m - 1))
        update = cd_product(list(self.diagonals), list(self.circulants)).detach()
        self.alpha = ratio * float(self.weight.float().norm() / update.norm())

    @property
    def factors(self) -> Factors:
        return Factors(list(self.diagonals), list(self.circulants), self.alpha)

    def update_survives_rounding(self) -> bool:
        return update_survives_rounding(self.weight, self.factors)

    def forward(self, x: Tensor, backend: Any = "merged") -> Tensor:
        return adapted_linear(x, self.weight, None, self.factors, backend)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every ratio that is read from the device, in order."""
    found: list[float] = []
    measure = merge_precision._ratio
    monkeypatch.setattr(merge_precision, "_ratio", lambda *args: found.append(measure(*args)) or found[-1])
    return found


def products(run: Callable[[], Any]) -> int:
    """Products with a whole weight or update among the operators that a call consists of."""
    with Watch() as seen:
        run()
    return sum(name in ("mm", "addmm", "addmm_") for name in seen.names)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize(("q", "m"), [(1, 2), (2, 2), (1, 3)])
def test_an_update_survives_from_two_steps_of_the_dtype_on(dtype: torch.dtype, q: int, m: int) -> None:
    assert Layer(2.02 * EPS[dtype], dtype, q, m).update_survives_rounding()
    assert not Layer(1.98 * EPS[dtype], dtype, q, m).update_survives_rounding()


@pytest.mark.parametrize(("q", "m"), [(1, 2), (2, 2), (1, 3)])
@pytest.mark.parametrize("ratio", [0.1, 0.005])
def test_value_and_gradients_are_those_of_the_method(as_on_a_gpu: None, ratio: float, q: int, m: int) -> None:
    layer = Layer(ratio, q=q, m=m)
    x, grad = (torch.randn(96, WIDTH).bfloat16() for _ in range(2))
    x.requires_grad_()
    out = layer(x)
    found = torch.autograd.grad(out, [x, *layer.parameters()], grad)
    leaves = [t.detach().double().requires_grad_() for t in (x, *layer.parameters())]
    update = layer.alpha * cd_product(leaves[1 : m + 1], leaves[m + 1 :])
    truth = leaves[0] @ (layer.weight.double() + update).T
    expected = torch.autograd.grad(truth, leaves, grad.double())
    assert out.dtype == found[0].dtype == torch.bfloat16
    near([out, *found], [truth, *expected], 4e-3)  # a bfloat16's rounding is 1.7e-3, twice 2.4e-3
    effect = (leaves[0] @ update.T).detach()
    added = (out - leaves[0] @ layer.weight.double().T).detach()
    kept = (added * effect).sum() / effect.square().sum()
    assert kept == pytest.approx(1, abs=0.02 if ratio == 0.1 else 0.1)


@pytest.mark.usefixtures("as_on_a_gpu")
def test_a_large_update_shares_the_weights_products_and_a_small_one_starts_the_forward_sum() -> None:
    x = torch.randn(96, WIDTH).bfloat16().requires_grad_()

    def trained(layer: Layer, backend: str) -> int:
        return products(lambda: layer(x, backend).sum().backward())

    assert trained(Layer(0.1), "merged") == 3  # of which two are the frozen layer's, the third g^T x
    assert trained(Layer(0.001), "merged") == 4
    assert trained(Layer(0.1), "fft") == trained(Layer(0.001), "fft") == 2


def test_it_is_explained_and_both_cases_are_calibrated(as_on_a_gpu: None, no_times: None) -> None:
    bare = nn.Sequential(nn.Linear(WIDTH, WIDTH)).bfloat16()
    model = get_peft_model(bare, CDVFTConfig(target_modules=["0"], backend="merged")).base_model.model
    assert "rounding would lose it" in str(explain(model[0], 96))
    with torch.no_grad():
        model[0].cdvft_diagonals["default"][-1].fill_(1)
    assert "rounding would lose it" not in str(explain(model[0], 96))
    assert {case.separate for case in calibrate(model, 4, seconds=0)} == {True, False}


def test_on_a_cpu_nothing_is_measured(measured: list[float]) -> None:
    Layer(0.1)(torch.randn(5, WIDTH).bfloat16())
    assert measured == []


def test_an_update_that_changes_between_two_answers_is_measured_again(measured: list[float]) -> None:
    layer = Layer(0.1)
    with torch.no_grad():
        assert all([layer.update_survives_rounding() for _ in range(3 * MEASURE_INTERVAL)])
        assert len(measured) == 1
        layer.circulants[0].mul_(0.01)
        assert not layer.update_survives_rounding()
        layer.load_state_dict(Layer(0.1).state_dict())
        assert layer.update_survives_rounding()
        layer.weight.mul_(1000)
        assert not layer.update_survives_rounding()
        layer.alpha *= 1000
        assert layer.update_survives_rounding()


@pytest.mark.parametrize(
    "optimizer",
    [torch.optim.AdamW, partial(torch.optim.AdamW, fused=True), torch.optim.SGD],
    ids=["AdamW", "fused AdamW", "SGD"],
)
def test_training_measures_now_and_then_but_a_loaded_checkpoint_at_once(
    optimizer: Callable, measured: list[float], as_on_a_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge_precision, "MEASURE_INTERVAL", 8)
    layer = Layer(0.1)
    steps = optimizer(layer.parameters(), lr=1e-4)
    x = torch.randn(8, WIDTH).bfloat16()
    small = {name: t if name == "weight" else 0.1 * t for name, t in layer.state_dict().items()}

    def step() -> None:
        layer(x).float().square().mean().backward()
        steps.step()
        steps.zero_grad()

    for _ in range(4 * 8 + 5):
        step()
    assert 5 <= len(measured) <= 6  # of which two at first, where the counters show an optimizer's writes
    layer.load_state_dict(small)  # after a step, as at the end of training
    assert not layer.update_survives_rounding()
    count = len(measured)
    layer.load_state_dict({**small, "circulants.0": 1e4 * small["circulants.0"]})  # after none
    assert layer.update_survives_rounding()
    assert len(measured) == count + 1


def test_values_written_past_torchs_counters_hold_for_some_passes_at_most(measured: list[float]) -> None:
    layer = Layer(0.1)
    assert layer.update_survives_rounding()
    layer.circulants[0].data.mul_(0.01)
    answers = [layer.update_survives_rounding() for _ in range(MEASURE_INTERVAL)]
    assert answers[-1] is False
    assert len(measured) == 2


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_recomputes_what_it_did(reentrant: bool, measured, monkeypatch, as_on_a_gpu) -> None:
    monkeypatch.setattr(merge_precision, "MEASURE_INTERVAL", 1)
    layer = Layer(0.1)
    x = torch.randn(8, WIDTH).bfloat16().requires_grad_()
    out = checkpoint(layer, x, use_reentrant=reentrant)
    layer.circulants[0].data.mul_(0.01)
    out.sum().backward()  # torch raises an error where other tensors are saved than before
    assert len(measured) == 1
    layer(x)
    assert len(measured) == 2


def test_what_cannot_be_told_in_time_is_not_merged(measured, monkeypatch) -> None:
    with torch.inference_mode():
        assert not Layer(0.1).update_survives_rounding()
    layer = Layer(0.1)
    monkeypatch.setattr(merge_precision, "_is_captured", lambda weight: weight is layer.weight)
    assert not layer.update_survives_rounding()
    assert measured == []
