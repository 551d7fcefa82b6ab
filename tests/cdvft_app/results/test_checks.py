"""Checks of an adapter hold for every method, and notice broken layers."""

from __future__ import annotations

import pytest

from cdvft import layer as cdvft_layer
from cdvft.layer import CDVFTLayer
from cdvft_app.results.checks import BY_FFT, CHANGED, DISABLED, MERGED, RELOADED, check_adapter
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.training import trainable

TEXTS = ["good", "the plot the film very awful a a a", "bad film"]
ADAPTERS = ("cdvft", "lora", "fourierft", "c3a", "dora", "vera")


@pytest.mark.parametrize(
    ("kind", "method"),
    [*(("text", method) for method in ADAPTERS), ("answer", "cdvft"), ("answer", "fourierft")],
)
def test_checks_hold_for_every_method(runs, kind, method):
    run = runs(kind, method)
    report = check_adapter(run, TEXTS if kind == "text" else ["go go go 2"])
    checks = {one.invariant: one for one in report.checks}
    assert {*checks} == {MERGED, DISABLED, RELOADED, CHANGED} | ({BY_FFT} if method == "cdvft" else set())
    assert checks.pop(CHANGED).difference > 1e-3
    assert all(one.difference < 1e-5 * max(1, one.size) for one in checks.values())
    (file,) = run.folder.glob("*.safetensors")
    expected = (run.record.trainable_parameters or 0) + run.record.result.get("head_parameters", 0)
    shared = ("base_model.vera_A", "base_model.vera_B")  # VeRA saves its random matrices
    assert report.file_bytes == file.stat().st_size
    assert sum(count for name, _, count in report.tensors if name not in shared) == expected


def test_checks_notice_another_base_model(runs, monkeypatch):
    whole, loaded = trainable.load_base, []

    def shaken(*given):
        loaded.append(whole(*given))
        if len(loaded) == 2:  # the first one gets the adapter
            loaded[1].model.lm_head.weight.data *= 1.01
        return loaded[-1]

    monkeypatch.setattr(trainable, "load_base", shaken)
    _, disabled, reloaded, *_ = check_adapter(runs("answer", "cdvft"), ["go go go 2"]).checks
    assert min(disabled.difference, reloaded.difference) > 1e-3


def test_checks_notice_a_wrong_merge(runs, monkeypatch):
    whole = CDVFTLayer.get_delta_weight
    monkeypatch.setattr(CDVFTLayer, "get_delta_weight", lambda self, name: 1.5 * whole(self, name))
    assert check_adapter(runs("text", "cdvft"), TEXTS).checks[0].difference > 1e-4


def test_checks_notice_a_wrong_fft(runs, monkeypatch):
    whole = cdvft_layer.adapted_linear

    def wrong(x, weight, bias, factors, backend):
        return whole(x, weight, bias, factors, backend) + (0.01 if backend == "fft" else 0)

    monkeypatch.setattr(cdvft_layer, "adapted_linear", wrong)
    checks = {one.invariant: one for one in check_adapter(runs("text", "cdvft"), TEXTS).checks}
    assert checks[BY_FFT].difference > 1e-4


@pytest.mark.parametrize("method", ["head", "full"])
def test_checks_need_an_adapter(runs, method):
    run = runs("text", method)
    with pytest.raises(ResultsError, match=run.label):
        check_adapter(run, TEXTS)
