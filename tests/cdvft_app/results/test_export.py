"""Exported folders load by the lines on their card and by `cdvft apply`, and predict as the run does."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image

from cdvft_app.results import requirements
from cdvft_app.results.exported_folder import INVALID_MANIFEST, MANIFEST, NO_MANIFEST
from cdvft_app.results.exported_folder import exported as open_exported
from cdvft_app.results.exporters import EXPORTERS, Export, base_note, file_name
from cdvft_app.results.finished_run import BASE, NO_WEIGHTS, ResultsError
from cdvft_app.results.predictor import Predictor
from cdvft_app.training import trainable

TEXT = "the plot the film good a very fine film"
PROMPT = "go go go 2"
PICTURE = np.arange(0, 144, dtype=np.uint8).reshape(12, 12)
CASES = [
    ("text", "cdvft", "adapter"),
    ("text", "cdvft", "merged"),
    ("text", "cdvft", "lora"),
    ("text", "head", "adapter"),
    ("text", "full", "merged"),
    ("text", "full", "adapter"),
    ("number", "cdvft", "adapter"),
    ("number", "cdvft", "merged"),
    ("first token", "cdvft", "adapter"),
    ("first token", "cdvft", "merged"),
    ("first token", "full", "adapter"),
    ("image", "cdvft", "adapter"),
    ("image", "cdvft", "lora"),
    ("image", "lora", "merged"),
    ("image", "head", "adapter"),
    ("image", "full", "adapter"),
    ("answer", "cdvft", "adapter"),
    ("answer", "cdvft", "merged"),
    ("answer", "lora", "lora"),
    ("answer", "full", "adapter"),
]
WEIGHTS = "adapter_model.safetensors"
RANKS = {"image": 64, "text": 32}  # the full ranks


def lines_of(folder: Path) -> str:
    """Return the Python on the card."""
    text = (folder / "README.md").read_text()
    return text.partition("```python\n")[2].partition("\n```")[0]


def run_card(folder: Path, text: str = TEXT) -> tuple[dict, str]:
    """Run the card's lines; return the names that they leave, and what they print."""
    Image.fromarray(PICTURE).save(folder / "your_image.png")
    names: dict = {}
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(lines_of(folder).replace("your text", text), names)
    return names, printed.getvalue()


def input_of(run):
    return {"image": PICTURE, "generation": PROMPT}.get(run.plan.model.kind, TEXT)


@pytest.mark.parametrize(("kind", "method", "form"), CASES)
def test_exported_folder_predicts_as_the_run(kind, method, form, runs, exported):
    run = runs(kind, method)
    made = exported(run, form, RANKS.get(kind, 8))
    folder = shutil.move(made, made.with_name("moved"))
    (expected,) = trainable.load_trained(run.plan, run.folder)[0].predict([input_of(run)])
    opened = open_exported(folder)
    (found,) = Predictor.load([opened]).predict(opened.record.id, [input_of(run)])
    assert (found.label, found.text) == (expected.label, expected.text)
    assert (found.value or 0) == pytest.approx(expected.value or 0, rel=1e-4)
    assert found.probabilities == pytest.approx(expected.probabilities, abs=2e-5)


@pytest.mark.parametrize(("kind", "method", "form"), CASES)
def test_card_lines_predict_as_the_run(kind, method, form, runs, exported):
    run = runs(kind, method)
    folder = exported(run, form, RANKS.get(kind, 8))
    task = trainable.load_trained(run.plan, run.folder)[0]
    names, printed = run_card(folder, PROMPT if kind == "answer" else TEXT)
    if kind == "answer":
        expected = task.write(task.collate(task.examples([PROMPT])))[0].tolist()
        answer = names["answer"].tolist()
        assert len(set(expected)) > 1 and answer[: len(expected)] == expected
    else:
        logits, expected = names["logits"].reshape(-1), task.logits([input_of(run)]).reshape(-1)
        if kind == "number":
            assert float(printed) == pytest.approx(expected.item(), rel=1e-4)
        else:
            torch.testing.assert_close(logits, expected, rtol=0, atol=2e-5)
    card = ModelCard.load(folder / "README.md")
    adapter = form != "merged" and method not in ("head", "full")
    assert (card.data.library_name == "peft") == adapter
    assert ("cdvft" in (card.data.tags or [])) == (method == "cdvft" and form == "adapter")
    needs_library = "cdvft" in lines_of(folder)
    assert needs_library == bool(list(folder.glob("*.whl")))
    needs_peft = "peft" in lines_of(folder) or needs_library
    assert ("peft==" in (folder / "requirements.txt").read_text()) == needs_peft


@pytest.mark.parametrize("form", ["adapter", "lora", "offline", "merged"])
def test_base_model_that_no_hub_has_is_exported(form, runs, exported):
    run = runs("image", "cdvft")
    folder = exported(run, form)
    on_card = f"`{BASE}/`" in (folder / "README.md").read_text()
    assert (folder / BASE).is_dir() == on_card == (form != "merged")
    assert base_note(run) and not base_note(runs("text", "full"))


def test_zip_stores_weights_and_holds_one_folder(runs, store, tmp_path):
    EXPORTERS["adapter"].write_zip(Export(store, runs("text", "cdvft")), tmp_path / "films.zip")
    with zipfile.ZipFile(tmp_path / "films.zip") as archive:
        names = archive.namelist()
        stored = {one.filename for one in archive.infolist() if one.compress_type == zipfile.ZIP_STORED}
    assert all(name.startswith("films/") for name in names)
    assert stored == {name for name in names if name.endswith(".safetensors")} != set()


def test_merged_encoder_is_a_sentence_transformers_folder(runs, exported):
    folder = exported(runs("text", "cdvft"), "merged")
    for name in ("modules.json", "sentence_bert_config.json", "1_Pooling/config.json", "2_Dense/config.json"):
        assert (folder / name).is_file()
    assert not any("mean_pooled" in file.read_text() for file in folder.rglob("*config.json"))


def test_card_marks_validation_scores(runs, exported):
    run = runs("text", "lora")
    assert ModelCard.load(exported(run, "adapter") / "README.md").data.eval_results
    tried = run.record.settings.model_copy(update={"evaluate_on": "validation"})
    trial = dataclasses.replace(run, record=dataclasses.replace(run.record, settings=tried))
    card = ModelCard.load(exported(trial, "merged") / "README.md")
    assert not card.data.eval_results and "validation" in card.text


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / MANIFEST).unlink(), NO_MANIFEST),
        (lambda folder: (folder / MANIFEST).write_text("{}"), INVALID_MANIFEST),
        (
            lambda folder: (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin"),
            NO_WEIGHTS,
        ),
    ],
)
def test_open_rejects_other_folders(damage, message, runs, exported):
    folder = exported(runs("text", "cdvft"), "adapter")
    damage(folder)
    with pytest.raises(ResultsError) as error:
        open_exported(folder)
    told = {"folder": folder, "file": MANIFEST, "name": folder, "error": ""}
    assert message.format(**told).split(": ")[0] in str(error.value)


def test_open_reads_no_model_outside_the_folder(runs, exported, tmp_path):
    folder = exported(runs("text", "cdvft"), "offline")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["model"] |= {"source": "local", "location": "/etc"}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert open_exported(folder).plan.model.location == str(folder / BASE)


def test_existing_output_is_kept(runs, exported, tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "mine.txt").write_text("mine")
    with pytest.raises(ResultsError, match="adapter"):
        exported(runs("text", "cdvft"), "adapter")
    assert [path.name for path in tmp_path.rglob("*")] == ["adapter", "mine.txt"]


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), Exception("No space left on device (os error 28)")],
    ids=["of Python", "of tokenizers"],
)
def test_full_disk_leaves_nothing(runs, store, tmp_path, monkeypatch, error):
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(requirements, "write_requirements", full)
    with pytest.raises(ResultsError):
        EXPORTERS["adapter"].write_zip(Export(store, runs("text", "cdvft")), tmp_path / "out.zip")
    assert not list(tmp_path.iterdir())


def test_file_name_tells_entries_of_one_method_apart(runs):
    run = runs("text", "cdvft")
    assert file_name(run, "adapter") == "films_cdvft_adapter.zip"
    named = dataclasses.replace(run, record=dataclasses.replace(run.record, name="Tickets: Über / 2026"))
    assert file_name(named, "merged") == "tickets-uber-2026_cdvft_merged.zip"
    method = run.record.settings.method
    settings = run.record.settings.model_copy(update={"method": method.model_copy(update={"m": 3})})
    twice = dataclasses.replace(run, race=(run.record, dataclasses.replace(run.record, settings=settings)))
    assert file_name(twice, "adapter").startswith("films_cdvft-m-")
