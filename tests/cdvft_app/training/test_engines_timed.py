"""Before a run on a GPU, for which a CPU stands in, CDVFT's engines are timed for the model's own layers."""

from __future__ import annotations

import logging

import pytest
import torch
from peft import get_peft_model
from torch import nn

from cdvft import CDVFTConfig
from cdvft.kernels import engine_choice
from cdvft_app.training import kernels

LABELS = torch.zeros(3)
BATCH = {"x": torch.ones(3, 7, 32), "labels": LABELS}


class Task:
    """Calls the model as tasks do."""

    def forward(self, model, inputs, labels):
        assert labels is LABELS and set(inputs) == {"x"}
        return model(inputs["x"])


class Pooled(nn.Module):
    """Of two layers the second sees a row a sequence."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(32, 32), nn.Linear(32, 32)

    def forward(self, x):
        return self.other(self.one(x)[:, 0])


@pytest.fixture
def model(monkeypatch, tmp_path):
    """Adapted, on a machine that has timed nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernels, "TIMING_SECONDS", 0)
    engine_choice._table.cache_clear()
    yield get_peft_model(Pooled(), CDVFTConfig(target_modules=["one", "other"]))
    engine_choice._table.cache_clear()


def is_timed(layer, tokens):
    x, factors = torch.empty(tokens, 32), layer.factors("default")
    key = engine_choice.problem_key(x, factors.diagonals, factors.circulants, separate=False)
    return engine_choice.measured_times(key, x.device) is not None


def test_time_engines_measures_batch_tokens_once(model, monkeypatch):
    layer = model.base_model.model.one
    assert not is_timed(layer, 3 * 7)
    kernels.time_engines(model, Task(), BATCH, None)
    assert is_timed(layer, 3 * 7)
    assert not is_timed(layer, 3 * 70)
    monkeypatch.setattr("cdvft.kernels.calibration._measure", pytest.fail)
    kernels.time_engines(model, Task(), BATCH, None)


def test_time_engines_survives_failures(model, monkeypatch, caplog):
    monkeypatch.setattr("cdvft.kernels.calibration._measure", lambda *_: 1 / torch.empty(1 << 62))
    with caplog.at_level(logging.WARNING):
        kernels.time_engines(model, Task(), BATCH, None)
        kernels.time_engines(Pooled(), Task(), BATCH, None)
    memory, nothing = caplog.messages
    assert memory.startswith("Estimates choose CDVFT's engines, for timing them failed: ")
    assert "no CDVFT adapter" in nothing or "tokens is 0" in nothing
