"""The exported training script trains a run like the one it was exported from."""

from __future__ import annotations

import contextlib
import io
import json
import runpy
from pathlib import Path

import pytest
from safetensors.torch import load_file

from cdvft_app.results.exporters import EXPORTERS, Export
from cdvft_app.results.finished_run import find
from cdvft_app.results.script import TEMPLATES

ROWS = {
    "text": "text_rows",
    "first token": "text_rows",
    "number": "number_rows",
    "image": "image_rows",
    "answer": "few_answers",
}


def run_script(folder: Path) -> float:
    """Run train.py in its folder and return the score that it prints."""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as printed:
        runpy.run_path("train.py", run_name="__main__")
    return float(printed.getvalue().splitlines()[-1].partition(": ")[2])


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("text", "cdvft"),
        ("text", "head"),
        ("first token", "full"),
        ("number", "lora"),
        ("image", "cdvft"),
        ("answer", "cdvft"),
        ("answer", "full"),
    ],
)
def test_script_trains_and_saves_weights(kind, method, runs, exported, request):
    run = runs(kind, method)
    folder = exported(run, "script", rows=request.getfixturevalue(ROWS[kind]))
    assert -1 <= run_script(folder) <= 1
    trained = load_file(next((folder / "trained").glob("*.safetensors")))
    settings = json.loads((folder / "settings.json").read_text())
    assert settings["arguments"]["max_steps"] == 4
    assert any(tensor.abs().max() > 0 for tensor in trained.values())


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("train_*.py")), ids=lambda file: file.stem)
def test_templates_are_short_and_need_no_app(template):
    text = template.read_text()
    assert len(text.splitlines()) <= 120 and "cdvft_app" not in text


@pytest.mark.nightly
@pytest.mark.mirror
@pytest.mark.parametrize("method", ["cdvft", "lora"])
def test_script_reproduces_the_recorded_score(method, store, hub_cache, tmp_path, monkeypatch):
    run = find(store, f"recorded-sentiment-{method}")
    for name, value in {"HF_HUB_CACHE": str(hub_cache), "HF_HUB_OFFLINE": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub_cache))
    EXPORTERS["script"].write_folder(Export(store, run), tmp_path / "out")
    assert run_script(tmp_path / "out") == pytest.approx(run.record.metric, abs=0.02)
