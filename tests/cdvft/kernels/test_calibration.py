"""What calibration measures chooses, is kept for this machine alone, and is explained."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from peft import get_peft_model
from peft.utils.quantization_utils import ForwardOnlyQuantizationBackend
from torch import nn

from cdvft import CDVFTConfig, quantized
from cdvft.kernels import autograd_ops, calibrate, chunked, engine_choice, explain, native
from cdvft.kernels.engine_choice import Selection, select, selections

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("no_times")


def model(d_out: int = 24, d_in: int = 24, **options) -> nn.Module:
    torch.manual_seed(0)
    bare = nn.Sequential(nn.Linear(d_in, d_out), nn.ReLU(), nn.Linear(d_out, d_out))
    return get_peft_model(bare, CDVFTConfig(target_modules=["0", "2"], **options)).base_model.model


def pretended(layer, tokens: int, fastest: str) -> None:
    """Keeps times by which one way is the fastest."""
    x, factors = torch.empty(tokens, layer.in_features), layer.factors("default")
    case = engine_choice.problem_key(x, factors.diagonals, factors.circulants, separate=False)
    keys = [s.key for s in selections(x, factors.circulants)]
    assert fastest in keys
    engine_choice.keep_times(case, CPU, {key: 0.001 if key == fastest else 0.002 for key in keys})


def selected(layer, tokens: int) -> Selection:
    factors = layer.factors("default")
    x = torch.empty(tokens, layer.in_features)
    return select(x, factors.diagonals, factors.circulants, separate=False, backend="auto")


def test_every_way_of_every_engine_is_timed_once_a_shape_and_nothing_is_changed() -> None:
    adapted = model(d_out=48)
    before = {name: tensor.clone() for name, tensor in adapted.state_dict().items()}
    found = calibrate(adapted, 64, seconds=0.01)
    assert {case.sizes for case in found} == {(24, 48), (48, 48)}
    ways = {"native, transforms", "native, merged forward", "native, merged gradients", "native, merged"} | {
        "chunked, transforms", "chunked, merged forward", "chunked, merged gradients"
    }  # fmt: skip
    for seconds in found.values():
        assert set(seconds) == ways
        assert min(seconds.values()) > 0 and max(seconds.values()) < engine_choice.WRONG
    assert all(torch.equal(tensor, before[name]) for name, tensor in adapted.state_dict().items())
    assert all(p.grad is None for p in adapted.parameters())


@pytest.mark.parametrize("fastest", ["chunked, merged forward", "native, transforms", "native, merged"])
def test_the_fastest_way_that_was_measured_serves(fastest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = model()[0]
    pretended(layer, 64, fastest)
    assert selected(layer, 64).key == fastest
    monkeypatch.setattr(autograd_ops, "forward", Mock(side_effect=autograd_ops.forward))
    layer(torch.randn(64, 24))
    assert [call.args[3].selection.key for call in autograd_ops.forward.call_args_list] == [fastest]


@pytest.mark.parametrize(
    ("tokens", "is_measured"), [(46, True), (64, True), (90, True), (45, False), (91, False)]
)
def test_times_hold_for_about_as_many_tokens(tokens: int, is_measured: bool) -> None:
    layer = model()[0]
    pretended(layer, 64, "chunked, merged forward")
    assert (selected(layer, tokens).key == "chunked, merged forward") is is_measured
    assert explain(layer, tokens).measured is is_measured


def test_times_are_kept_for_later_processes_of_the_same_machine_alone(monkeypatch) -> None:
    layer = model()[0]
    pretended(layer, 64, "chunked, transforms")
    engine_choice._table.cache_clear()  # as in another process
    assert selected(layer, 64).key == "chunked, transforms"
    record = json.loads(engine_choice._path(CPU).read_text())
    machine = engine_choice.machine(CPU)
    assert record["machine"] == machine and record["cases"][0]["tokens"] == 64
    assert (machine["torch"], machine["threads"]) == (torch.__version__, torch.get_num_threads())
    for change in ({"torch": "0.1"}, {"name": "another processor"}, {"threads": 99}, {"kernels": "others"}):
        monkeypatch.setattr(engine_choice, "machine", lambda _, change=change: machine | change)
        engine_choice._table.cache_clear()
        assert not explain(layer, 64).measured


def test_an_engine_that_cannot_serve_any_more_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = model()[0]
    pretended(layer, 64, "native, transforms")
    monkeypatch.setattr(native, "supports", lambda *_: False)
    assert selected(layer, 64).engine == "chunked"


@pytest.mark.parametrize("content", ["", "{", '{"cases": [{}]}', "[]"])
def test_a_file_that_cannot_be_read_leaves_the_choice_to_the_rule(content: str, caplog) -> None:
    layer = model()[0]
    by_rule = selected(layer, 64)
    pretended(layer, 64, "chunked, transforms")
    engine_choice._path(CPU).write_text(content)
    engine_choice._table.cache_clear()
    assert selected(layer, 64) == by_rule
    assert "cannot be read" in caplog.text


def test_without_a_home_no_times_are_known_and_the_rule_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", Mock(side_effect=RuntimeError("Could not determine home directory.")))
    layer = model(init_weights=False)[0]
    x = torch.randn(5, 24)
    expected = nn.functional.linear(x, layer.weight + layer.get_delta_weight("default"), layer.bias)
    torch.testing.assert_close(layer(x), expected)
    assert not explain(layer, 64).measured


def test_explain_says_which_engine_and_why() -> None:
    layer = model()[0]
    before = explain(layer, 64)
    assert (before.engine, before.measured, before.seconds) == ("native", False, {})
    assert "rates that were measured on another processor" in str(before)
    pretended(layer, 64, "native, merged forward")
    after = explain(layer, 64)
    assert (after.engine, after.merged_forward, after.merged_gradients) == ("native", True, False)
    assert after.measured
    said = str(after)
    ways = "Gradients by the compiled C library; forward through the dense update W + alpha dW."
    assert said.startswith(ways)
    assert "native, merged forward 1 ms, " in said
    assert "Not by the fused Triton kernel: it runs on CUDA devices alone." in said


def test_explain_knows_that_the_environment_asks_for_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, other = model()[0], model(backend="fft")[0]
    monkeypatch.setenv("CDVFT_ENGINE", "reference")
    found = explain(layer, 64)
    assert found.engine == "reference" and "CDVFT_ENGINE" in found.reason
    assert explain(other, 64).engine == "chunked"  # what the configuration says stands above it


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.randn(2, 24, 24))
        self.shared = nn.Parameter(torch.randn(24, 24))


def test_beside_linear_layers_experts_and_convolutions_are_not_timed() -> None:
    bare = nn.Sequential(nn.Linear(24, 24), Experts(), nn.Conv2d(24, 24, 1))
    config = CDVFTConfig(target_modules=["0", "2"], target_parameters=["1.up", "1.shared"])
    adapted = get_peft_model(bare, config).base_model.model
    (case,) = calibrate(adapted, 64, seconds=0.01)
    assert case.sizes == (24, 24)
    for of_experts in (adapted[1], adapted[1].base_layer):
        with pytest.raises(ValueError, match=r"No engine is chosen for parameter '(up|shared)'"):
            explain(of_experts, 64)


def test_explain_knows_that_a_convolution_has_its_update_beside_it() -> None:
    bare = nn.Sequential(nn.Conv2d(768, 768, 1), nn.Linear(768, 768))
    adapted = get_peft_model(bare, CDVFTConfig(target_modules=["0", "1"])).base_model.model
    convolution, linear = (explain(layer, 4096) for layer in adapted)
    assert linear.merged_forward and not convolution.merged_forward
    with torch.autocast("cpu", torch.bfloat16):
        assert not explain(adapted[1], 4096).merged_forward


def test_explain_knows_a_layer_whose_weight_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """As GPTQ's and HQQ's do, whose layers are no nn.Linear."""

    class Quantized(nn.Module):
        in_features = out_features = 768

        def __init__(self) -> None:
            super().__init__()
            self.qweight, self.bias = torch.zeros(768, 96, dtype=torch.int32), None

    known = {Quantized: ForwardOnlyQuantizationBackend("gptq")}
    monkeypatch.setattr(quantized, "resolve_quantization_backend", lambda base, **_: known.get(type(base)))
    bare = nn.Sequential(Quantized(), nn.Linear(768, 768))
    adapted = get_peft_model(bare, CDVFTConfig(target_modules=["0", "1"])).base_model.model
    found = explain(adapted[0], 4096)
    assert found.engine in ("native", "chunked") and not found.merged_forward
    assert len(calibrate(adapted, 8, seconds=0.01)) == 1


@pytest.mark.parametrize(
    ("options", "engine", "said"),
    [
        ({"backend": "reference"}, "reference", "backend='reference'"),
        ({"backend": "fft"}, "native", "backend='fft'"),
        ({"backend": "merged"}, "native", "through the dense update"),
        ({"block_size": 11}, "chunked", "the compiled C library: block size 11 has a prime factor above 7"),
    ],
)
def test_explain_knows_the_configuration(options: dict, engine: str, said: str) -> None:
    found = explain(model(**options)[0], 64)
    assert (found.engine, found.measured) == (engine, False) and said in str(found)


def test_what_has_no_adapter_is_refused() -> None:
    with pytest.raises(ValueError, match="a layer with a CDVFT adapter is needed; this one has none"):
        explain(nn.Linear(2, 2), 64)
    with pytest.raises(ValueError, match="adapter 'other', but"):
        explain(model()[0], 64, "other")
    with pytest.raises(ValueError, match="call get_peft_model first"):
        calibrate(nn.Linear(2, 2), 64)
    with pytest.raises(ValueError, match="tokens is 0"):
        calibrate(model(), 0)


def test_a_way_that_fails_on_the_device_is_left_out(monkeypatch, caplog) -> None:
    monkeypatch.setattr(chunked, "forward_", Mock(side_effect=RuntimeError("no kernel image is available")))
    (seconds,) = calibrate(model(), 32, seconds=0.01).values()
    assert "chunked, transforms" not in seconds
    assert "chunked, merged forward" in seconds
    assert "no kernel image is available" in caplog.text
