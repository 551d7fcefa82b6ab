"""predict, export and push on a run of a tiny model, and what they refuse."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cdvft_app.catalog import MODELS
from cdvft_app.commands import FAILED, FINISHED
from cdvft_app.store.runs import RunStore
from cdvft_app.training import trainable


def test_texts_are_answered_as_the_run_answers(command, home, text_plan):
    store = RunStore(home[0])
    task, _ = trainable.load_trained(text_plan("cdvft"), store.folder(home[1]["text"]) / "adapter")
    expected = task.predict(["good film", "the awful plot"])
    code, output, _ = command(
        "predict", home[1]["text"], "--text", "good film", "--text", "the awful plot", "--json"
    )
    said = [json.loads(line) for line in output.splitlines()]
    assert code == FINISHED
    assert [one["label"] for one in said] == [one.label for one in expected]
    for one, wanted in zip(said, expected, strict=True):
        assert tuple(one["probabilities"].values()) == pytest.approx(wanted.probabilities, abs=1e-5)
        assert list(one["probabilities"]) == ["negative", "positive"]


def test_a_table_of_texts_is_answered_row_by_row(command, home, tmp_path):
    (tmp_path / "rows.csv").write_text('text,mine\n"good, very fine film",1\nbad,2\n')
    code, output, _ = command("predict", home[1]["text"], "--file", tmp_path / "rows.csv")
    assert code == 0 and [line.split("\t")[2] for line in output.splitlines()] == ["row 1", "row 2"]


def test_images_are_answered(command, home, tmp_path):
    Image.fromarray(np.full((20, 30), 130, np.uint8)).save(tmp_path / "one.png")
    (tmp_path / "rows.csv").write_text("image\none.png\n")
    code, output, _ = command("predict", home[1]["image"], "--image", tmp_path / "one.png", "--json")
    (alone,) = [json.loads(line) for line in output.splitlines()]
    assert code == 0 and set(alone["probabilities"]) == {"dark", "grey", "bright"}
    _, output, _ = command("predict", home[1]["image"], "--file", tmp_path / "rows.csv", "--json")
    assert json.loads(output)["probabilities"] == alone["probabilities"]


def broken_png(folder):
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(folder / "whole.png")
    data = (folder / "whole.png").read_bytes()
    (folder / "broken.png").write_bytes(data[: len(data) // 2])
    return folder / "broken.png"


def short_row(folder):
    Image.new("L", (8, 8)).save(folder / "one.png")
    (folder / "rows.csv").write_text("id,image\n1,one.png\n2\n")
    return folder / "rows.csv"


def empty_table(folder):
    (folder / "rows.csv").write_text("label\n1\n")
    return folder / "rows.csv"


@pytest.mark.parametrize(
    "case",
    [
        ("text", (), "nothing to answer"),
        ("text", ("--text", "good", "--second", "bad"), "one text at a time"),
        ("text", ("--image", broken_png), "is about texts"),
        ("text", ("--file", empty_table), "the column text"),
        ("text", ("--file", "/nowhere/rows.csv"), "cannot be read: No such file"),
        ("image", ("--text", "good"), "is about images"),
        ("image", ("--image", broken_png), "broken.png cannot be used: it cannot be read as PNG"),
        ("image", ("--image", empty_table), "cannot be read"),
        ("image", ("--file", short_row), "rows.csv names no image"),
        ("queued", ("--text", "good"), "is queued; it can be used once it is finished"),
        ("nobody's", ("--text", "good"), "There is no run"),
    ],
)
def test_what_cannot_be_answered_is_a_sentence(case, command, home, tmp_path):
    kind, arguments, sentence = case
    given = [one(tmp_path) if callable(one) else one for one in arguments]
    code, output, errors = command("predict", home[1].get(kind, "0" * 32), *given)
    assert (code, output) == (FAILED, "")
    assert sentence in errors and len(errors.splitlines()) == 1


def test_a_base_that_is_gone_is_a_sentence(command, home, monkeypatch, tmp_path):
    gone = dataclasses.replace(MODELS["minilm"], location=str(tmp_path / "gone"))
    monkeypatch.setitem(MODELS, "minilm", gone)  # type: ignore[arg-type]
    code, _, errors = command("predict", home[1]["text"], "--text", "good")
    assert code == FAILED and "which is not there" in errors


@pytest.mark.parametrize(
    "case",
    [
        ("folder", "there/out", "there/out", "adapter_model.safetensors"),
        ("merged", "out", "out", "model.safetensors"),
        ("lora", "out", "out", "adapter_model.safetensors"),
        ("zip", "run-1.2", "run-1.2.zip", "adapter_model.safetensors"),
        ("zip", "run.ZIP", "run.ZIP", "adapter_model.safetensors"),
        ("merged", "run.zip", "run.zip", "model.safetensors"),
    ],
)
def test_each_form_is_written_where_it_was_asked_for_and_what_ends_in_zip_is_a_zip(
    case, command, home, tmp_path
):
    to, out, written, file = case
    code, output, _ = command("export", home[1]["text"], "--to", to, "--out", tmp_path / out, "--rank", 4)
    place = tmp_path / written
    assert (code, output) == (0, f"{place}\n")
    assert [*tmp_path.iterdir()] == [tmp_path / Path(written).parts[0]]
    folder = zipfile.Path(place, f"{place.stem}/") if written.lower().endswith(".zip") else place
    assert (folder / file).is_file() and (folder / "README.md").is_file()


def test_a_rank_that_is_too_large_is_a_sentence_and_leaves_nothing(command, home, tmp_path):
    out = tmp_path / "out"
    code, _, errors = command("export", home[1]["text"], "--to", "lora", "--out", out, "--rank", 99)
    assert code == FAILED and "take ranks from 1 to 32" in errors
    assert not list(tmp_path.iterdir())


def test_nothing_is_pushed_without_a_token(command, home, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    code, _, errors = command("push", home[1]["text"], "ada/films", "--private")
    assert code == FAILED and "set HF_TOKEN" in errors


def test_a_script_is_written_into_a_folder_of_its_own_or_not_at_all(command, tmp_path):
    out = tmp_path / "job"
    code, output, _ = command("script", "--out", out, "--recipe", "sentiment")
    assert code == 0 and output.startswith(f"{out / 'train.py'}: run it by")
    assert {path.name for path in out.iterdir()} == {"train.py", "studio.zip"}
    (out / "train.py").write_text("changed by hand")
    code, output, errors = command("script", "--out", out, "--recipe", "sentiment")
    assert code == 1 and output == ""
    assert errors == f"{out} is already there; choose another place, or remove it first.\n"
    assert (out / "train.py").read_text() == "changed by hand"


def test_an_adapter_that_comes_with_its_base_model_says_so_and_a_merged_one_does_not(command, home, tmp_path):
    for to, count in (("zip", 1), ("merged", 0)):
        code, output, error = command("export", home[1]["image"], "--to", to, "--out", tmp_path / f"out.{to}")
        assert code == FINISHED and output.splitlines() == [str(tmp_path / f"out.{to}")]
        assert error.count("comes with that base model (") == count
