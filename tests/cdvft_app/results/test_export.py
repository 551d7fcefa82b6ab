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

from cdvft_app.catalog import ModelEntry, get_model
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


class OfNoHub(ModelEntry):
    """A model that nobody else can fetch."""

    def base(self, commit: str | None) -> tuple[None, None]:
        return None, None


@pytest.fixture(scope="module")
def runs(request, trained, roberta_folder):
    """Each kind of run that a test asks for, trained once."""
    made = {}

    def run(kind: str, method: str):
        if (kind, method) not in made:
            name = kind if kind in ("image", "answer", "number") else "text"
            rows, make = (request.getfixturevalue(f"{name}_{what}") for what in ("rows", "plan"))
            rate = 0.005 if (kind, method) == ("answer", "full") else 0.1
            plan = make(method, max_steps=4, learning_rate=rate)
            if kind == "first token":
                model = dataclasses.replace(
                    get_model("roberta_base"), source="local", location=str(roberta_folder)
                )
                plan = dataclasses.replace(plan, model=model)
            if kind == "image":
                plan = dataclasses.replace(plan, model=OfNoHub(**vars(plan.model)))
            made[kind, method] = trained(plan, rows)
        return made[kind, method]

    return run


def lines_of(folder: Path) -> str:
    """The Python on the card."""
    text = (folder / "README.md").read_text()
    return text.partition("```python\n")[2].partition("\n```")[0]


def asked(folder: Path) -> torch.Tensor:
    """The logits that the lines on the card give."""
    Image.fromarray(PICTURE).save(folder / "your_image.png")
    names: dict = {}
    with contextlib.chdir(folder), contextlib.redirect_stdout(None):
        exec(lines_of(folder).replace("your text", TEXT), names)
    return names["logits"].reshape(-1)


def own(run) -> torch.Tensor:
    task = trainable.load_trained(run.plan, run.folder)[0]
    return task.logits([PICTURE if run.plan.model.kind == "image" else TEXT]).reshape(-1)


@pytest.mark.parametrize(
    "case",
    [
        ("text", "cdvft", "adapter"),
        ("text", "cdvft", "merged"),
        ("text", "cdvft", "lora"),
        ("text", "lora", "adapter"),
        ("text", "fourierft", "merged"),
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
def test_the_lines_on_the_card_give_the_run_s_own_answer(case, runs, store, tmp_path):
    kind, method, form = case
    run = runs(kind, method)
    full_rank = 64 if kind == "image" else 32
    EXPORTERS[form].write_folder(Export(store, run, full_rank), tmp_path / "out")
    folder = tmp_path / "out"
    torch.testing.assert_close(asked(folder), own(run), rtol=0, atol=2e-5)
    card = ModelCard.load(folder / "README.md")
    adapter = form != "merged" and method not in ("head", "full")
    assert card.data.library_name == "peft" if adapter else "peft" not in (card.data.tags or [])
    assert ("cdvft" in (card.data.tags or [])) == (method == "cdvft" and form == "adapter")
    assert (folder / "loss.png").is_file() and "loss.png" in card.text
    needs_peft = any(word in lines_of(folder) for word in ("peft", "cdvft"))  # as cdvft itself does
    assert ("peft==" in (folder / "requirements.txt").read_text()) == needs_peft
    assert ("cdvft" in lines_of(folder)) == bool(
        list(folder.glob("*.whl"))
    )  # nothing is asked for that lacks
    if form == "merged":
        assert not any(word in lines_of(folder) for word in ("peft", "cdvft"))
        assert not list(folder.glob("*.whl")) and not list(folder.glob("adapter*"))


@pytest.mark.parametrize("form", ["adapter", "merged"])
def test_the_lines_on_the_card_print_a_number_in_its_own_unit(form, runs, store, tmp_path):
    run = runs("number", "cdvft")
    folder = tmp_path / "out"
    EXPORTERS[form].write_folder(Export(store, run), folder)
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        exec(lines_of(folder).replace("your text", TEXT), {})
    assert float(printed.getvalue()) == pytest.approx(own(run).item(), rel=1e-4)
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
def test_the_lines_on_the_card_write_the_run_s_own_answer(method, form, runs, store, tmp_path):
    run = runs("answer", method)
    EXPORTERS[form].write_folder(Export(store, run, 2), tmp_path / "out")
    names: dict = {}
    with contextlib.chdir(tmp_path / "out"), contextlib.redirect_stdout(None):
        exec(lines_of(tmp_path / "out").replace("your text", PROMPT), names)
    task = trainable.load_trained(run.plan, run.folder)[0]
    examples = task.examples([PROMPT])
    expected = task.write(task.collate([examples[0]]))[0].tolist()
    assert len(set(expected)) > 1 and names["answer"].tolist()[: len(expected)] == expected
    assert ("cdvft" in lines_of(tmp_path / "out")) == bool(list((tmp_path / "out").glob("*.whl")))
    needs_peft = any(word in lines_of(tmp_path / "out") for word in ("peft", "cdvft"))
    assert needs_peft == (form != "merged")
    assert ("peft==" in (tmp_path / "out" / "requirements.txt").read_text()) == needs_peft


def test_a_zip_holds_one_folder_that_the_lines_on_its_card_load(runs, store, tmp_path):
    run = runs("text", "cdvft")
    EXPORTERS["adapter"].write_zip(Export(store, run), tmp_path / "films.zip")
    with zipfile.ZipFile(tmp_path / "films.zip") as archive:
        assert all(name.startswith("films/") for name in archive.namelist())
        archive.extractall(tmp_path)
    assert list((tmp_path / "films").glob("*.whl")) and "cdvft_app" not in lines_of(tmp_path / "films")
    torch.testing.assert_close(asked(tmp_path / "films"), own(run), rtol=0, atol=2e-5)


def test_a_sentence_encoder_s_folder_has_the_layout_of_sentence_transformers(runs, store, tmp_path):
    EXPORTERS["merged"].write_folder(Export(store, runs("text", "cdvft")), tmp_path / "out")
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")}
    assert {
        "modules.json",
        "sentence_bert_config.json",
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "2_Dense/model.safetensors",
        "model.safetensors",
        "config.json",
        "tokenizer.json",
    } <= files
    assert not any(
        "mean_pooled" in (tmp_path / "out" / name).read_text() for name in files if name.endswith("json")
    )


def test_a_run_of_an_older_version_becomes_whole(runs, store, tmp_path):
    run = runs("text", "cdvft")
    old = tmp_path / "old"
    old.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (old / name).write_bytes((run.folder / name).read_bytes())
    EXPORTERS["adapter"].write_folder(Export(store, dataclasses.replace(run, folder=old)), tmp_path / "out")
    torch.testing.assert_close(asked(tmp_path / "out"), own(run), rtol=0, atol=2e-5)


def test_lora_says_what_it_keeps(runs, store, tmp_path):
    EXPORTERS["lora"].write_folder(Export(store, runs("text", "cdvft"), rank=2), tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    assert "LoRA adapter of rank 2" in text and "of the change's energy" in text and "not measured" in text


@pytest.mark.parametrize("form", ["adapter", "lora", "offline"])
def test_a_base_that_nobody_else_has_is_announced_with_its_size(form, runs, store, tmp_path):
    run, folder = runs("image", "cdvft"), tmp_path / "out"
    EXPORTERS[form].write_folder(Export(store, run, 2), folder)
    size = amount("bytes", folder_bytes(folder / BASE))
    told = f"in `base/`, {size}, since it can be fetched nowhere else"
    assert told in (folder / "README.md").read_text() and folder_bytes(folder / BASE) > 10_000
    own = amount("bytes", folder_bytes(Path(run.plan.model.location)))
    assert base_note(run).endswith(f"comes with that base model ({own}), which can be fetched nowhere else.")


@pytest.mark.parametrize("case", [("image", "full", "adapter"), ("text", "cdvft", "merged")])
def test_where_no_base_lies_beside_none_is_announced(case, runs, store, tmp_path):
    *asked, form = case
    run = runs(*asked)
    EXPORTERS[form].write_folder(Export(store, run), tmp_path / "out")
    assert "`base/`" not in (tmp_path / "out" / "README.md").read_text()
    assert not (tmp_path / "out" / BASE).exists() and base_note(run) == ""


def test_what_is_there_already_stays(runs, store, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(ResultsError, match="already there"):
        EXPORTERS["adapter"].write_folder(Export(store, runs("text", "cdvft")), tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine.txt"]


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
