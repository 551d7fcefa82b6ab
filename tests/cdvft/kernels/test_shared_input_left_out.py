"""When layers of one input serve themselves on a GPU, for which Triton's interpreter stands in."""

from __future__ import annotations

import copy
import gc
import pickle
import platform
import weakref
from typing import Any

import pytest
import torch
from attention import WIDTH, adapted, alone, close, gradients, trained
from operators_seen import Watch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cdvft import shared_input
from cdvft.kernels import selection
from cdvft.kernels.rule import WAYS

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="needs Linux: Triton comes for it alone")


def test_updates_that_have_grown_to_be_merged_are_no_longer_served_together(grouped: list[int]) -> None:
    model, attention = adapted()
    layers = (attention.query, attention.key, attention.value)
    for one in layers:
        one.base_layer.to(torch.bfloat16)
        one.cdvft_backend["default"] = "auto"
        with torch.no_grad():
            one.cdvft_circulants["default"][0].mul_(1e-3)
    x = torch.randn(6, WIDTH).bfloat16()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "choose", lambda *_, apart, **__: WAYS["transforms" if apart else "merged"])
        model(x)
        model(x)
        assert grouped == [3]
        with torch.no_grad():
            attention.value.cdvft_circulants["default"][0].mul_(1e3)
        model(x)
        model(x)
        assert grouped == [3, 3, 2], "the pass after the growth finds out"


def test_a_layer_that_does_not_go_with_the_first_serves_itself(grouped: list[int]) -> None:
    model, attention = adapted()
    attention.key.base_layer.bias = None  # as Whisper has it
    x = torch.randn(4, WIDTH, requires_grad=True)
    expected = alone(model, x)
    assert all(close(gradients(model, x), expected) for _ in range(3))
    assert grouped == [2, 2]


def test_so_does_one_whose_bias_is_of_another_dtype(grouped: list[int]) -> None:
    model, attention = adapted()
    for one in (attention.query, attention.key, attention.value):
        one.base_layer.bfloat16()
    attention.key.base_layer.bias.data = attention.key.base_layer.bias.data.float()
    x = torch.randn(4, WIDTH).bfloat16()
    for _ in range(3):
        model(x)
    assert grouped == [2, 2]


def test_a_layer_that_gets_another_input_twice_in_a_row_serves_itself(grouped: list[int]) -> None:
    model, _ = adapted()
    x, other = (torch.randn(4, WIDTH, requires_grad=True) for _ in range(2))
    gradients(model, x)
    expected = alone(model, x, other)
    assert close(gradients(model, x, other), expected), "what was worked out for x is not what was asked for"
    assert grouped == [3]
    gradients(model, x, other)
    assert grouped == [3, 3, 2], "key and value were seen together"
    assert close(gradients(model, x), alone(model, x))
    assert grouped == [3, 3, 2, 2], "query no longer works for the others"


def test_one_interrupted_pass_leaves_nobody_out(grouped: list[int]) -> None:
    model, attention = adapted()
    x = torch.randn(4, WIDTH)
    model(x)
    for _ in range(3):
        attention.query(torch.randn(4, WIDTH))  # and something fails before key is called
        model(torch.randn(4, WIDTH))
    assert grouped == [3] * 6


def change_weight(attention: Any) -> None:
    attention.value.base_layer.weight.data = 2 * attention.value.base_layer.weight.data


def change_vector(attention: Any) -> None:
    with torch.no_grad():
        attention.value.cdvft_circulants["default"][0].mul_(2)


def change_alpha(attention: Any) -> None:
    attention.value.cdvft_alpha["default"] = 5.0


def disable(attention: Any) -> None:
    attention.value.enable_adapters(False)


def merge(attention: Any) -> None:
    attention.value.merge()


def write_into_the_input(attention: Any) -> None:
    attention.x.mul_(2)


@pytest.mark.parametrize(
    "change", [change_weight, change_vector, change_alpha, disable, merge, write_into_the_input]
)
def test_a_change_between_two_layers_shows(grouped: list[int], change: Any) -> None:
    _, attention = adapted()
    _, twin = adapted()
    attention.x = torch.randn(4, WIDTH)
    twin.x = attention.x.clone()
    attention(attention.x)
    attention.query(attention.x)
    assert grouped == [3]
    change(attention)
    with torch.no_grad():
        change(twin)
        expected = twin.value(twin.x)
    assert close([attention.value(attention.x)], [expected])


def test_an_output_of_before_its_vectors_were_to_train_is_not_taken(grouped: list[int]) -> None:
    _, attention = adapted()
    x = torch.randn(4, WIDTH)
    attention(x)
    (c,) = attention.value.cdvft_circulants["default"]
    c.requires_grad_(False)
    attention.query(x)
    c.requires_grad_(True)
    attention.value(x).sum().backward()
    assert grouped == [3]
    assert bool(c.grad.any())


def test_nor_is_one_of_before_a_step_that_counters_of_writes_do_not_show(grouped: list[int]) -> None:
    model, attention = adapted()
    optimizer = torch.optim.AdamW(trained(model), lr=1e-2, fused=True)
    x = torch.randn(4, WIDTH)  # all the data there is, in every step
    for one in (attention.query, attention.key) * 2:  # turns: one trains on what the others were
        out = one(x)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shared_input, "DEVICES", ())
            assert close([out], [one(x)])
        out.square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_what_nobody_takes_is_not_held(grouped: list[int]) -> None:
    _, attention = adapted()
    attention(torch.randn(4, WIDTH))
    x = torch.randn(4, WIDTH, requires_grad=True).exp()
    held = weakref.ref(x)
    attention.query(x)
    del x
    attention.query(torch.randn(4, WIDTH))
    gc.collect()
    assert held() is None
    assert grouped == [3, 3]


@pytest.mark.parametrize("shape", [(4, WIDTH // 2), (4, 2 * WIDTH), ()])
def test_an_input_of_another_width_is_refused_in_the_layers_words(
    grouped: list[int], shape: tuple[int, ...]
) -> None:
    _, attention = adapted()
    attention(torch.randn(4, WIDTH))
    with pytest.raises(ValueError, match="Got an input of shape"):
        attention.query(torch.randn(shape))
    assert grouped == []


def test_layers_of_another_model_that_are_given_the_same_tensor_are_served_among_themselves(
    grouped: list[int],
) -> None:
    (one, _), (other, attention) = adapted(), adapted()
    x = torch.randn(4, WIDTH)
    one(x)
    for _ in range(3):
        other(x)
    assert grouped == [3]
    assert len(attention.query.shared_input.others) == 2


def test_layers_on_another_device_serve_themselves(grouped: list[int]) -> None:
    _, attention = adapted()
    x = torch.randn(4, WIDTH)
    attention(x)
    attention.value.to("meta")
    attention.query(x)
    assert grouped == [2]


def test_what_watches_operators_sees_those_of_each_layer(grouped: list[int]) -> None:
    model, _ = adapted()
    x = torch.randn(4, WIDTH)
    model(x)
    with Watch() as seen:
        model(x)
    assert grouped == []
    assert seen.names.count("cdvft.update") == 3


def test_a_compiler_sees_each_layer_by_itself_in_one_graph(grouped: list[int]) -> None:
    model, attention = adapted()
    x = torch.randn(4, WIDTH)
    expected = alone(model, x.requires_grad_())[0]
    attention(x)
    torch._dynamo.reset()
    out = torch.compile(attention, backend="eager", fullgraph=True)(x)
    assert close([out], [expected])
    assert grouped == []


def test_hooks_see_their_layers_calls(grouped: list[int]) -> None:
    model, attention = adapted()
    x = torch.randn(4, WIDTH)
    model(x)
    seen: list[str] = []
    attention.key.register_forward_hook(lambda *_: seen.append("adapted"))
    attention.value.base_layer.register_forward_hook(lambda *_: seen.append("base"))
    model(x)
    assert seen == ["adapted", "base"]
    assert grouped == []


def test_dropout_different_scales_and_merging_leave_each_layer_to_itself(grouped: list[int]) -> None:
    dropping, _ = adapted(cdvft_dropout=0.5)
    scaled, _ = adapted(alpha_pattern={"query": 2.0, "key": 3.0, "value": 4.0})
    merged, attention = adapted()
    for one in (attention.query, attention.key, attention.value):
        one.cdvft_backend["default"] = "merged"
    for model in (dropping, scaled, merged):
        model(torch.randn(4, WIDTH))
        model(torch.randn(4, WIDTH))
    assert grouped == []
    dropping.eval()
    x = torch.randn(4, WIDTH)
    dropping(x)
    assert close([dropping(x)], [alone(dropping, x.requires_grad_())[0]])
    assert grouped == [3], "nothing is dropped in evaluation"


def test_without_gradients_nothing_is_kept_for_others(grouped: list[int]) -> None:
    model, _ = adapted()
    with torch.no_grad():
        model(torch.randn(4, WIDTH))
        model(torch.randn(4, WIDTH))
    assert grouped == []


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_repeat_what_was_done(grouped: list[int], reentrant: bool) -> None:
    model, _ = adapted()
    x = torch.randn(4, WIDTH, requires_grad=True)
    expected = alone(model, x)

    def passed() -> list[Tensor]:
        model.zero_grad()
        x.grad = None
        outs = [checkpoint(model, x, use_reentrant=reentrant) for _ in range(2)]
        sum(out * torch.linspace(0, 0.5, out.numel()).view(out.shape) for out in outs).sum().backward()
        return [outs[0].detach(), *(t.grad for t in (x, *trained(model)))]

    assert close(passed(), expected)
    model(x)
    assert close(passed(), expected)
    assert grouped == []


def test_a_copy_and_a_pickle_have_nothing_of_the_original(grouped: list[int]) -> None:
    model, attention = adapted()
    x = torch.randn(4, WIDTH)
    model(x)
    attention.query(x)  # an output for key and one for value are left
    twin, again = copy.deepcopy(attention), pickle.loads(pickle.dumps(attention))
    grouped.clear()
    for module in (twin, again):
        assert close([module(x)], [attention(x)])
    assert 3 not in grouped[1:], "each sees in a pass of its own which layers share an input"
    attention.key = nn.Identity()
    assert attention.query(x).shape == x.shape
