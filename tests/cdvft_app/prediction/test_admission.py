"""What is refused before it waits, and what is said of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cdvft_app import catalog, prediction
from cdvft_app.prediction import admit, predict
from cdvft_app.settings import InvalidChoice, RunSettings

GB = 10**9


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")


def plan_of(**settings: Any) -> catalog.Plan:
    return catalog.resolve(RunSettings(**{"method": "cdvft", **settings}))


def refused(most_seconds: float | None = None, **settings: Any) -> str:
    """What is said of it; nothing where it is admitted."""
    plan = plan_of(**settings)
    try:
        admit([(plan, predict(plan, []))], most_seconds)
    except InvalidChoice as error:
        return str(error)
    return ""


def memory_of(monkeypatch: pytest.MonkeyPatch, size: float, kind: str = "cpu") -> None:
    monkeypatch.setattr(prediction, "kind_of_training", lambda: kind)
    if kind == "cuda":
        monkeypatch.setattr(prediction, "device_name", lambda *_: "a GPU of one's own")
    monkeypatch.setattr(prediction, "total_bytes", lambda kind: round(size))


def test_a_batch_that_no_memory_holds_is_refused_and_one_that_fits_is_named_if_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory_of(monkeypatch, 8 * GB)
    large = {"recipe": "mnist", "image_size": 518, "batch_size": 512}
    said = refused(**large)
    assert said.startswith("batch_size: got 512; ") and "this machine has 8 GB" in said
    (fits,) = re.findall(r"Batches of (\d+) fit\.$", said)
    assert not refused(**large | {"batch_size": int(fits)})
    assert refused(**large | {"batch_size": 2 * int(fits)})
    memory_of(monkeypatch, 0.3 * GB)
    assert refused().endswith("Choose a smaller model, or lower the length of the texts.")


@pytest.mark.parametrize(
    ("bits", "installed", "is_missing"),
    [(4, "", True), (8, "", True), (4, "torchao", True), (8, "torchao", False), (4, "bitsandbytes", False),
     (8, "bitsandbytes", False), (32, "", False), (None, "", False)],
)  # fmt: skip
def test_a_package_for_rounded_weights_is_asked_for_before_a_run_is_made(
    bits: int | None, installed: str, is_missing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = "cdvft_app.catalog.backbones.find_spec"
    monkeypatch.setattr(found, lambda name: name == installed or None)
    said = refused(recipe="addresses", bits=bits)
    assert bool(said) == is_missing
    if said:
        start = f'bits: Weights in {bits} bits need bitsandbytes: pip install "bitsandbytes>=0.48"'
        assert said.startswith(start) and said.endswith(", or leave bits empty.")
        assert ("torchao" in said) == (bits == 8)


def test_a_run_that_is_sure_to_be_too_long_is_refused() -> None:
    assert not refused(3600.0, max_steps=100) and not refused(None, max_steps=100_000)
    said = refused(600.0, max_steps=100_000)
    assert said.startswith("max_steps: got 100000; ") and "a run may take 10 min here" in said
    (fit,) = re.findall(r"About ([\d,]+) steps fit\.$", said)
    assert not refused(600.0, max_steps=int(fit.replace(",", "")))
    assert refused(600.0, epochs=100.0).startswith("epochs: got 100; ")
    made = predict(plan_of(max_steps=100_000), [])
    assert made is not None and made.whole_seconds is not None
    of_a_step = made.whole_seconds.value / 100_000
    assert refused(1.5 * of_a_step, max_steps=100_000).endswith(" About 1 step fits.")
