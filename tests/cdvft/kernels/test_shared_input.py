"""Layers of one input on a GPU, for which Triton's interpreter stands in: the first serves all."""

from __future__ import annotations

import platform
from typing import Any

import pytest
import torch
from attention import WIDTH, adapted, alone, close, gradients, trained
from torch import Tensor, nn

from cdvft import layer, shared_input
from cdvft.kernels import group, linear

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="needs Linux: Triton comes for it alone")


def test_after_a_pass_the_first_layer_serves_all_with_the_same_values_and_gradients(
    grouped: list[int],
) -> None:
    model, _ = adapted()
    x = torch.randn(3, 5, WIDTH, requires_grad=True)
    expected = alone(model, x)
    assert close(gradients(model, x), expected)
    assert grouped == [], "which layers share an input is seen in the first pass"
    assert close(gradients(model, x), expected)
    assert grouped == [3]


def test_what_is_adapted_of_them_is_served_and_the_rest_left_alone(grouped: list[int]) -> None:
    model, attention = adapted()
    attention.key = attention.key.base_layer
    x = torch.randn(5, WIDTH, requires_grad=True)
    expected = alone(model, x)
    assert all(close(gradients(model, x), expected) for _ in range(2))
    assert grouped == [2]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_rounds_as_each_layer_would(grouped: list[int], dtype: torch.dtype) -> None:
    model, attention = adapted()
    x = torch.randn(6, WIDTH)
    exact = alone(model, x.requires_grad_())
    for one in (attention.query, attention.key, attention.value):
        one.base_layer.to(dtype)
    half = x.detach().to(dtype).requires_grad_()
    gradients(model, half)
    found = gradients(model, half)
    assert grouped == [3]
    assert [t.dtype for t in found] == [dtype] * 2 + [torch.float32] * 9
    assert close([t.float() for t in found], exact, 8e-3)


def test_autocast_makes_half_precision_of_all(grouped: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(x: Tensor) -> torch.dtype | None:
        return torch.bfloat16 if torch.is_autocast_enabled("cpu") else None

    for module in (layer, linear, group):
        monkeypatch.setattr(module, "autocast_dtype", asked)
    model, _ = adapted()
    x = torch.randn(6, WIDTH, requires_grad=True)
    exact = alone(model, x)
    with torch.autocast("cpu", torch.bfloat16):
        gradients(model, x)
        found = gradients(model, x)
    assert grouped == [3]
    assert found[0].dtype == torch.bfloat16
    assert [t.dtype for t in found[1:]] == [torch.float32] * 10
    assert close([t.float() for t in found], exact, 8e-3)


def test_layers_without_a_bias_and_an_input_that_needs_no_gradient(grouped: list[int]) -> None:
    model, attention = adapted()
    for one in (attention.query, attention.key, attention.value):
        one.base_layer.bias = None
    x = torch.randn(4, WIDTH)

    def passed() -> list[Tensor]:
        model.zero_grad()
        model(x).sum().backward()
        return [p.grad.clone() for p in trained(model) if p.grad is not None]

    first, second = passed(), passed()
    assert grouped == [3]
    assert len(second) == 9
    assert close(second, first)


def test_a_bias_may_be_a_column_of_another_tensor(grouped: list[int]) -> None:
    model, attention = adapted()
    for one in (attention.query, attention.key, attention.value):
        one.base_layer.bias = nn.Parameter(torch.randn(WIDTH, 2)[:, 0], requires_grad=False)
    x = torch.randn(4, WIDTH, requires_grad=True)
    expected = alone(model, x)
    assert all(close(gradients(model, x), expected) for _ in range(2))
    assert grouped == [3]


def test_a_layer_whose_output_nobody_uses_has_no_gradient(grouped: list[int]) -> None:
    model, attention = adapted()
    x = torch.randn(4, WIDTH, requires_grad=True)
    model(x)
    query, *_ = (one(x) for one in (attention.query, attention.key, attention.value))
    query.sum().backward()
    assert grouped == [3]
    assert bool(attention.query.cdvft_circulants["default"][0].grad.any())
    assert attention.key.cdvft_circulants["default"][0].grad is None, "an optimizer would shrink its vectors"


def parts(attention: Any, x: Tensor) -> list[Tensor]:
    return [attention.query(x), 2 * attention.key(x), 3 * attention.value(x)]


def test_losses_of_single_layers_may_go_back_one_after_the_other(grouped: list[int]) -> None:
    model, attention = adapted()
    x = torch.randn(4, WIDTH)
    model(x).square().sum().backward()
    expected = [p.grad for p in trained(model)]
    model.zero_grad()
    outs = parts(attention, x)
    assert grouped == [3]
    for one in outs:  # by themselves the layers share no graph: none need be retained
        (one * 2 * sum(outs).detach()).sum().backward()
    assert close([p.grad for p in trained(model)], expected)


def test_what_is_written_to_between_such_losses_is_refused_where_its_layer_needs_it(
    grouped: list[int],
) -> None:
    model, attention = adapted()
    x = torch.randn(4, WIDTH)
    model(x)
    query, key, value = parts(attention, x)
    query.sum().backward()
    optimizer = torch.optim.SGD(trained(model), lr=1e-2)
    optimizer.step()  # moves the query's vectors alone
    key.sum().backward()
    optimizer.step()
    with torch.no_grad():
        attention.value.cdvft_circulants["default"][0].mul_(2)
    with pytest.raises(RuntimeError, match="in-place"):
        value.sum().backward()
    assert grouped == [3]


def test_a_second_derivative_goes_through_the_slow_truth(grouped: list[int]) -> None:
    model, _ = adapted()
    x = torch.randn(3, WIDTH, requires_grad=True)

    def second() -> Tensor:
        (by_x,) = torch.autograd.grad(model(x).square().sum(), x, create_graph=True)
        return torch.autograd.grad(by_x.square().sum(), x)[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_input, "DEVICES", ())
        expected = second()
    model(x)
    assert close([second()], [expected])
    assert grouped == [3]


def test_keys_and_values_of_another_input_are_served_together(grouped: list[int]) -> None:
    model, _ = adapted()
    x, other = (torch.randn(4, WIDTH, requires_grad=True) for _ in range(2))
    expected = alone(model, x, other)
    assert all(close(gradients(model, x, other), expected) for _ in range(2))
    assert grouped == [2]


def test_a_tensor_that_many_layers_are_given_is_served_to_a_few_at_once(grouped: list[int]) -> None:
    layers: list[Any] = [one for _ in range(2) for one in adapted()[1].children()]
    layers[1].base_layer.bias = None  # counts for none
    for _ in range(3):
        x = torch.randn(4, WIDTH)
        for one in layers:
            one(x)
    assert grouped == [4, 4]


def test_a_long_training_is_that_of_layers_by_themselves(grouped: list[int]) -> None:
    def trained_alone_or_not(devices: tuple[str, ...]) -> list[float]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shared_input, "DEVICES", devices)
            model, _ = adapted()
            optimizer = torch.optim.AdamW(trained(model), lr=1e-2)
            generator = torch.Generator().manual_seed(0)
            losses = []
            for _ in range(12):
                x = torch.randn(8, WIDTH, generator=generator)
                loss = (model(x) - x).square().mean()
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                losses.append(loss.item())
            return losses

    expected = trained_alone_or_not(())
    assert grouped == []
    assert trained_alone_or_not(("cpu",)) == pytest.approx(expected, rel=1e-4)
    assert grouped == [3] * 11
    assert expected[-1] < 0.9 * expected[0]
