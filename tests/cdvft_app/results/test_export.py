"""What is exported is loaded by the lines on its card and answers as the run itself does."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image

from cdvft_app.files import folder_bytes
from cdvft_app.format import amount
from cdvft_app.results import requirements
from cdvft_app.results.exporters import EXPORTERS, Export, base_note
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.results.weights import BASE
from cdvft_app.training import trainable

TEXT = "the plot the film good a very fine film"
PROMPT = "go go go 2"
PICTURE = np.arange(0, 144, dtype=np.uint8).reshape(12, 12)


def lines_of(folder: Path) -> str:
    """The Python on the card."""
    text = (folder / "README.md").read_text()
    return text.partition("```python\n")[2].partition("\n```")[0]


def ran(folder: Path, text: str = TEXT) -> tuple[dict, str]:
    """The names that the lines on the card leave, and what they print."""
    Image.fromarray(PICTURE).save(folder / "your_image.png")
    names: dict = {}
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(lines_of(folder).replace("your text", text), names)
    return names, printed.getvalue()


def asked(folder: Path) -> torch.Tensor:
    return ran(folder)[0]["logits"].reshape(-1)


def own(run) -> torch.Tensor:
    task = trainable.load_trained(run.plan, run.folder)[0]
    return task.logits([PICTURE if run.plan.model.kind == "image" else TEXT]).reshape(-1)


def assert_holds_what_its_lines_need(folder: Path) -> None:
    needs_library = "cdvft" in lines_of(folder)
    assert needs_library == bool(list(folder.glob("*.whl")))
    needs_peft = "peft" in lines_of(folder) or needs_library  # as cdvft itself does
    assert ("peft==" in (folder / "requirements.txt").read_text()) == needs_peft


@pytest.mark.parametrize(
    "case",
    [
        ("text", "cdvft", "adapter"),
        ("text", "cdvft", "merged"),
        ("text", "cdvft", "lora"),
        ("text", "lora", "adapter"),
        ("text", "head", "adapter"),
        ("text", "full", "adapter"),
        ("text", "full", "merged"),
        ("first token", "cdvft", "adapter"),
        ("first token", "cdvft", "merged"),
        ("first token", "head", "adapter"),
        ("image", "cdvft", "adapter"),
        ("image", "cdvft", "lora"),
        ("image", "lora", "adapter"),
        ("image", "lora", "merged"),
        ("image", "head", "adapter"),
        ("image", "full", "adapter"),
    ],
)
def test_the_lines_on_the_card_give_the_run_s_own_answer(case, runs, exported):
    kind, method, form = case
    run = runs(kind, method)
    folder = exported(run, form, 64 if kind == "image" else 32)  # the full rank
    torch.testing.assert_close(asked(folder), own(run), rtol=0, atol=2e-5)
    card = ModelCard.load(folder / "README.md")
    adapter = form != "merged" and method not in ("head", "full")
    assert card.data.library_name == "peft" if adapter else "peft" not in (card.data.tags or [])
    assert ("cdvft" in (card.data.tags or [])) == (method == "cdvft" and form == "adapter")
    assert (folder / "loss.png").is_file() and "loss.png" in card.text
    assert_holds_what_its_lines_need(folder)
    of_no_hub = kind == "image" and method != "full"
    assert bool(base_note(run)) == of_no_hub
    assert (folder / BASE).exists() == ("`base/`" in card.text) == (of_no_hub and form != "merged")
    if form == "merged":
        assert not any(word in lines_of(folder) for word in ("peft", "cdvft"))
        assert not list(folder.glob("adapter*"))


@pytest.mark.parametrize("form", ["adapter", "merged"])
def test_the_lines_on_the_card_print_a_number_in_its_own_unit(form, runs, exported):
    run = runs("number", "cdvft")
    folder = exported(run, form)
    assert float(ran(folder)[1]) == pytest.approx(own(run).item(), rel=1e-4)
    assert "the standard deviation and mean" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("method", "form"),
    [
        ("cdvft", "adapter"),
        ("cdvft", "merged"),
        ("lora", "adapter"),
        ("lora", "lora"),
        ("fourierft", "merged"),
        ("full", "merged"),
    ],
)
def test_the_lines_on_the_card_write_the_run_s_own_answer(method, form, runs, exported):
    run = runs("answer", method)
    folder = exported(run, form)
    task = trainable.load_trained(run.plan, run.folder)[0]
    examples = task.examples([PROMPT])
    expected = task.write(task.collate([examples[0]]))[0].tolist()
    answer = ran(folder, PROMPT)[0]["answer"].tolist()
    assert len(set(expected)) > 1 and answer[: len(expected)] == expected
    assert_holds_what_its_lines_need(folder)
    assert any(word in lines_of(folder) for word in ("peft", "cdvft")) == (form != "merged")


def test_the_lines_on_the_card_of_gpt2_write_no_further_than_its_last_position(of_gpt2, exported):
    task = trainable.load_trained(of_gpt2.plan, of_gpt2.folder)[0]
    expected = task.write(task.collate(task.examples([PROMPT])))[0].tolist()
    assert ran(exported(of_gpt2, "merged"), PROMPT)[0]["answer"].tolist() == expected


def test_a_zip_holds_one_folder_that_its_card_loads_and_packs_all_but_weights(runs, store, tmp_path):
    run = runs("text", "cdvft")
    EXPORTERS["adapter"].write_zip(Export(store, run), tmp_path / "films.zip")
    with zipfile.ZipFile(tmp_path / "films.zip") as archive:
        assert all(name.startswith("films/") for name in archive.namelist())
        stored = {one.filename for one in archive.infolist() if one.compress_type == zipfile.ZIP_STORED}
        assert stored == {name for name in archive.namelist() if name.endswith(".safetensors")} != set()
        archive.extractall(tmp_path)
    assert list((tmp_path / "films").glob("*.whl")) and "cdvft_app" not in lines_of(tmp_path / "films")
    torch.testing.assert_close(asked(tmp_path / "films"), own(run), rtol=0, atol=2e-5)


def test_a_sentence_encoder_s_folder_has_the_layout_of_sentence_transformers(runs, exported):
    folder = exported(runs("text", "cdvft"), "merged")
    for name in ("modules.json", "sentence_bert_config.json", "1_Pooling/config.json", "2_Dense/config.json"):
        assert (folder / name).is_file()
    assert not any("mean_pooled" in file.read_text() for file in folder.rglob("*json"))


def test_a_run_of_an_older_version_becomes_whole(runs, exported, tmp_path):
    run, old = runs("text", "cdvft"), tmp_path / "old"
    old.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (old / name).write_bytes((run.folder / name).read_bytes())
    folder = exported(dataclasses.replace(run, folder=old), "adapter")
    torch.testing.assert_close(asked(folder), own(run), rtol=0, atol=2e-5)


def test_lora_says_what_it_keeps(runs, exported):
    text = (exported(runs("text", "cdvft"), "lora", rank=2) / "README.md").read_text()
    assert "LoRA adapter of rank 2" in text and "of the change's energy" in text and "not measured" in text


def test_a_score_by_which_settings_were_chosen_is_not_given_as_one_of_rows_kept_for_the_end(runs, exported):
    run = runs("text", "lora")
    evaluated = ModelCard.load(exported(run, "adapter") / "README.md")
    assert "evaluation rows)" in evaluated.text and evaluated.data.eval_results
    tried = run.record.settings.model_copy(update={"evaluate_on": "validation"})
    trial = dataclasses.replace(run, record=dataclasses.replace(run.record, settings=tried))
    chosen = ModelCard.load(exported(trial, "merged") / "README.md")
    assert "validation rows, by which settings are chosen)" in chosen.text
    assert "evaluation row" not in chosen.text and not chosen.data.eval_results
    result = {**run.record.result, "evaluation_examples": None}
    unknown = dataclasses.replace(trial, record=dataclasses.replace(trial.record, result=result))
    text = (exported(unknown, "lora") / "README.md").read_text()
    assert "(over validation rows, by which settings are chosen)" in text, "also where no interval is known"


def test_one_step_is_told_in_the_singular(runs, exported):
    run = runs("text", "lora")
    short = dataclasses.replace(run, record=dataclasses.replace(run.record, step=1))
    assert " for 1 step, measured on" in (exported(short, "adapter") / "README.md").read_text()


@pytest.mark.parametrize("form", ["adapter", "lora", "offline"])
def test_a_base_that_nobody_else_has_is_announced_with_its_size(form, runs, exported):
    run = runs("image", "cdvft")
    folder = exported(run, form)
    size = amount("bytes", folder_bytes(folder / BASE))
    told = f"in `base/`, {size}, since it can be fetched nowhere else"
    assert told in (folder / "README.md").read_text() and folder_bytes(folder / BASE) > 10_000
    own = amount("bytes", folder_bytes(Path(run.plan.model.location)))
    assert base_note(run).endswith(f"comes with that base model ({own}), which can be fetched nowhere else.")


def test_what_is_there_already_stays(runs, exported, tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "mine.txt").write_text("mine")
    with pytest.raises(ResultsError, match="already there"):
        exported(runs("text", "cdvft"), "adapter")
    assert [path.name for path in tmp_path.rglob("*")] == ["adapter", "mine.txt"]


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), Exception("No space left on device (os error 28)")],
    ids=["of Python", "of tokenizers"],
)
def test_a_full_disk_is_a_sentence_and_leaves_nothing(runs, store, tmp_path, monkeypatch, error):
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(requirements, "write_requirements", full)
    with pytest.raises(ResultsError, match="no room left"):
        EXPORTERS["adapter"].write_zip(Export(store, runs("text", "cdvft")), tmp_path / "out.zip")
    assert not list(tmp_path.iterdir())
