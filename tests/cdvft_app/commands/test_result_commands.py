"""predict, export and push on runs of tiny models, and what they reject."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cdvft_app.commands import FAILED, FINISHED
from cdvft_app.commands.results import NO_TOKEN, NOTHING_TO_PREDICT
from cdvft_app.results.exporters import base_note
from cdvft_app.results.finished_run import find
from cdvft_app.store.runs import RunStore
from cdvft_app.training import trainable


def test_predict_matches_the_run(command, home, text_plan):
    store, texts = RunStore(home[0]), ["good film", "the awful plot"]
    task, _ = trainable.load_trained(text_plan("cdvft"), store.folder(home[1]["text"]) / "adapter")
    code, output, _ = command("predict", home[1]["text"][:8], *texts, "--json")
    found = [json.loads(line) for line in output.splitlines()]
    assert code == FINISHED
    for one, expected in zip(found, task.predict(texts), strict=True):
        assert one["label"] == expected.label and list(one["probabilities"]) == ["negative", "positive"]
        assert tuple(one["probabilities"].values()) == pytest.approx(expected.probabilities, abs=1e-5)


def broken_png(folder: Path) -> Path:
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(folder / "whole.png")
    data = (folder / "whole.png").read_bytes()
    (folder / "broken.png").write_bytes(data[: len(data) // 2])
    return folder / "broken.png"


@pytest.mark.parametrize(
    ("kind", "arguments", "named"),
    [
        ("text", (), NOTHING_TO_PREDICT),
        ("text", ("good", "--second", "bad"), ""),
        ("image", ("/nowhere/one.png",), "/nowhere/one.png"),
        ("image", (broken_png,), "broken.png"),
        ("queued", ("good",), "queued"),
        ("nobody's", ("good",), "0" * 32),
    ],
)
def test_predict_rejects_invalid_arguments(command, home, tmp_path, kind, arguments, named):  # noqa: PLR0917
    given = [one(tmp_path) if callable(one) else one for one in arguments]
    code, output, errors = command("predict", home[1].get(kind, "0" * 32), *given)
    assert (code, output) == (FAILED, "")
    assert named in errors and len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("to", "out", "file"),
    [
        ("folder", "there/out", "adapter_model.safetensors"),
        ("merged", "out", "model.safetensors"),
        ("lora", "out", "adapter_model.safetensors"),
        ("folder", "run-1.2.zip", "adapter_model.safetensors"),
        ("merged", "run.ZIP", "model.safetensors"),
        ("folder", None, "adapter_model.safetensors"),
    ],
)
def test_export_writes_folders_and_zips(command, home, tmp_path, monkeypatch, to, out, file):  # noqa: PLR0917
    monkeypatch.chdir(tmp_path)
    chosen = ("--out", out) if out else ()
    code, output, _ = command("export", home[1]["text"], "--to", to, *chosen, "--rank", 4)
    place = Path(out or "text_cdvft_adapter")
    assert (code, output) == (FINISHED, f"{place}\n")
    assert [*tmp_path.iterdir()] == [tmp_path / place.parts[0]]
    folder = zipfile.Path(place, f"{place.stem}/") if place.suffix.lower() == ".zip" else place
    assert (folder / file).is_file() and (folder / "README.md").is_file()


def test_export_rejects_a_large_rank(command, home, tmp_path):
    code, _, errors = command(
        "export", home[1]["text"], "--to", "lora", "--out", tmp_path / "out", "--rank", 99
    )
    assert code == FAILED and "99" in errors and "32" in errors
    assert not list(tmp_path.iterdir())


def test_export_tells_of_the_base_model(command, home, tmp_path):
    run = find(RunStore(home[0]), home[1]["image"])
    for to, is_told in (("folder", True), ("merged", False)):
        code, _, error = command("export", home[1]["image"], "--to", to, "--out", tmp_path / to)
        assert code == FINISHED and (base_note(run) in error) == is_told


def test_push_needs_a_token(command, home, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    code, _, errors = command("push", home[1]["text"], "ada/films", "--private")
    assert code == FAILED and errors == f"{NO_TOKEN}\n"
