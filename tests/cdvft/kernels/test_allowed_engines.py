"""Nothing unproven serves by itself: what the environment names, what a record proves, what was compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from cdvft import CDVFTConfig
from cdvft.circulant import Factors
from cdvft.kernels import (
    adapted_linear,
    allowed_engines,
    calibrate,
    chunked,
    explain,
    fused,
    native,
    self_test,
)
from cdvft.kernels.engine_choice import ENGINES, WRONG, available_engines, select

CPU = torch.device("cpu")


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A CUDA device that could run the fused kernels, of which there is no record."""
    monkeypatch.delenv("CDVFT_ENGINE", raising=False)
    monkeypatch.setattr(fused, "supports", lambda *_: True)
    monkeypatch.setattr(fused, "unsupported_reason", lambda *_: None)
    monkeypatch.setattr(native, "supports", lambda *_: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "A card")
    record = tmp_path / "verified_devices.json"
    record.write_text("{}")
    monkeypatch.setattr(allowed_engines, "VERIFIED_DEVICES", record)
    monkeypatch.setattr(allowed_engines, "kernels_digest", lambda: "these")
    allowed_engines._verified_devices.cache_clear()
    yield
    allowed_engines._verified_devices.cache_clear()


class OnCuda:
    """What is asked of an input that lies where there is no device here."""

    device, dtype, shape = torch.device("cuda"), torch.float32, torch.Size([5, 256])


def chosen(backend: Any = "auto") -> str:
    vectors = [torch.ones(256)] * 2, [torch.ones(1, 1, 256)]
    return select(OnCuda(), *vectors, separate=True, backend=backend).engine  # type: ignore[arg-type]


def test_torch_serves_on_a_gpu_until_the_fused_kernels_as_they_are_now_are_proven_there(
    on_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen("fft") == "chunked"
    allowed_engines.record_verified("Another card")
    assert chosen("fft") == "chunked"
    allowed_engines.record_verified("A card")
    assert chosen("fft") == "fused"
    monkeypatch.setattr(allowed_engines, "kernels_digest", lambda: "changed")
    assert chosen("fft") == "chunked"


def test_who_asks_for_the_fused_kernels_gets_them(on_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen("fused") == "fused"
    monkeypatch.setenv("CDVFT_ENGINE", "fused")
    assert chosen("fft") == "fused"


def test_no_record_ships_of_a_device_that_has_not_run_them() -> None:
    results = Path(__file__).parents[3] / "benchmarks" / "results"
    recorded = {path.stem for path in results.glob("gpu_*.json")}
    assert len(allowed_engines._verified_devices()) <= len(recorded)


@pytest.mark.skipif(native.library() is None, reason="needs a C compiler")
def test_the_environment_names_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    both = ["native", "chunked"]
    named = {"auto": both, "": both, "chunked, native": both, "native": ["native"], "chunked": ["chunked"]}
    for value, expected in (named | {"fused": ["chunked"]}).items():
        monkeypatch.setenv("CDVFT_ENGINE", value)
        assert available_engines(torch.empty(3, 256), [torch.empty(1, 1, 256)]) == expected, value


def test_the_environment_may_name_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDVFT_ENGINE", "reference")
    monkeypatch.setattr("cdvft.kernels.linear.select", lambda *_, **__: pytest.fail("an engine serves"))
    vectors = Factors([torch.ones(8)] * 2, [torch.ones(1, 1, 8)], 1.0)
    assert adapted_linear(torch.ones(2, 8), torch.eye(8), None, vectors).shape == (2, 8)


def test_what_is_no_engine_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDVFT_ENGINE", "cuda, native")
    with pytest.raises(ValueError, match=r"names 'cuda', but it takes 'auto', or one or more of 'native'"):
        available_engines(torch.empty(3, 256), [torch.empty(1, 1, 256)])


def broken(wrong: str) -> Any:
    """torch's own transforms, but for one thing."""

    class Broken:
        __name__ = "broken"

        @staticmethod
        def forward_(y: Tensor, x: Tensor, factors: Factors) -> None:
            chunked.forward_(y, x, factors)
            if wrong == "update":
                y *= 1.01
            if wrong == "rows":
                y += x.mean(0)

        @staticmethod
        def backward(x: Tensor, grad: Tensor, factors: Factors, grad_x: Tensor | None) -> Any:
            diagonals, circulants = chunked.backward(x, grad, factors, grad_x)
            return diagonals, [c.flip(-1) if wrong == "gradient" else c for c in circulants]

        unsupported_reason = staticmethod(lambda *_: None)
        supports = staticmethod(lambda *_: True)

    return Broken()


@pytest.mark.parametrize("wrong", ["update", "rows", "gradient"])
def test_an_engine_that_is_wrong_fails_its_self_test(wrong: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not self_test.is_correct(broken(wrong), CPU)
    assert "failed its self-test" in caplog.text


def test_a_right_one_passes_once_and_moves_no_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, calls = broken("nothing"), []
    forward = engine.forward_
    monkeypatch.setattr(engine, "forward_", lambda *args: calls.append(1) or forward(*args), raising=False)
    state = torch.get_rng_state()
    assert self_test.is_correct(engine, CPU) and self_test.is_correct(engine, CPU)
    assert len(calls) == 2  # a plain one, and one beside what is not finite
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("watched", ["fake", "compiled"])
def test_no_self_test_runs_where_torch_watches(watched: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "is_correct", lambda *_: pytest.fail("tested while watched"))
    run, vectors = adapted_linear, Factors([torch.ones(256)] * 2, [torch.ones(1, 1, 256)], 1.0)
    if watched == "compiled":
        torch._dynamo.reset()
        run = torch.compile(run, backend="eager", fullgraph=True)
    with FakeTensorMode(allow_non_fake_inputs=True) if watched == "fake" else nullcontext():
        assert run(torch.empty(3, 256), torch.empty(256, 256), None, vectors).shape == (3, 256)


def test_calibration_leaves_out_what_is_wrong_and_explain_says_so(monkeypatch, no_times) -> None:
    monkeypatch.setitem(ENGINES, "native", broken("update"))
    bare = nn.Sequential(nn.Linear(24, 24))
    model = get_peft_model(bare, CDVFTConfig(target_modules=["0"])).base_model.model
    (seconds,) = calibrate(model, 64, seconds=0.01).values()
    left_out = {key for key, t in seconds.items() if t == WRONG}
    assert left_out == {"native, transforms", "native, merged gradients"}  # those that walk forward by it
    said = str(explain(model[0], 64))
    assert "Left out" in said and "native, transforms" in said.split("Left out")[1]
