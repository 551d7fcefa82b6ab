"""Config, splits and revision of a dataset that is named by its hub id."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from cdvft_app import catalog
from cdvft_app.catalog import entries, hub
from cdvft_app.catalog.dataset_readers import read_hub_files
from cdvft_app.catalog.hub import pin_dataset_commit
from cdvft_app.settings import InvalidChoice, RunSettings

NAME, FIRST, SECOND = "ada/films", "1" * 40, "2" * 40


def settings(**chosen: str) -> RunSettings:
    return RunSettings.model_validate({"method": "lora", "dataset": NAME, **chosen})


@pytest.fixture
def commits(stub) -> None:
    stub.commits |= {f"{NAME}@main": FIRST, f"{NAME}@v2": SECOND}


@pytest.mark.usefixtures("commits")
def test_a_branch_or_tag_becomes_the_commit_that_it_stands_at() -> None:
    assert pin_dataset_commit(settings()).dataset_revision == FIRST
    assert pin_dataset_commit(settings(dataset_revision="v2")).dataset_revision == SECOND
    assert pin_dataset_commit(settings(dataset_revision="3" * 40)).dataset_revision == "3" * 40


@pytest.mark.usefixtures("commits")
def test_what_the_hub_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidChoice, match="no branch, tag, or commit 'v3'"):
        pin_dataset_commit(settings(dataset_revision="v3"))
    with pytest.raises(InvalidChoice, match="no dataset ada/none"):
        pin_dataset_commit(settings(dataset="ada/none"))


def test_a_public_server_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setattr(hub, "_dataset_commit", pytest.fail)
    assert pin_dataset_commit(settings()) == settings()


def test_without_a_hub_the_copy_that_is_here_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert pin_dataset_commit(settings(dataset_revision="v2")).dataset_revision == "v2"
    kept = hub.Snapshot(Path("/x"), SECOND)
    monkeypatch.setattr(hub, "cached", lambda name, kind, revision, patterns: kept)
    assert pin_dataset_commit(settings(dataset_revision="v2")).dataset_revision == SECOND


def test_the_plan_reads_what_was_named() -> None:
    named = dict(zip(entries.HUB_DATASET_FIELDS, ("short", "a", "b", FIRST), strict=True))
    found = catalog.resolve(settings(**named)).dataset
    assert (found.config, found.revision) == ("short", FIRST)
    assert (found.train_split, found.evaluation_split) == ("a", "b")
    assert catalog.resolve(settings()).dataset.revision == "main"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with two configurations, one of which has splits of unusual names."""
    for name in ("short/a", "short/b", "long/train", "long/test"):
        file = tmp_path / f"{name}.csv"
        file.parent.mkdir(exist_ok=True)
        file.write_text("text,label\n" + "".join(f"{name} {n},{'xy'[n % 2]}\n" for n in range(4)))
    configs = "".join(
        f"- config_name: {config}\n  data_files:\n"
        + "".join(f"  - split: {split}\n    path: {config}/{split}.csv\n" for split in splits)
        for config, splits in (("short", ("a", "b")), ("long", ("train", "test")))
    )
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    return tmp_path


def test_config_and_splits_are_read(folder: Path) -> None:
    entry = catalog.resolve(settings(dataset_config="short", train_split="b", evaluation_split="a")).dataset
    splits = read_hub_files(entry, folder, FIRST)
    assert splits.evaluation is not None and splits.commit == FIRST
    assert splits.train.select([0, 1]) == ["short/b 0", "short/b 1"]
    assert splits.evaluation.select([3]) == ["short/a 3"]


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ({"config": "none"}, "none.*short.*long"),
        ({"config": "short", "train_split": "c"}, "it has no split 'c'; its splits are a, b"),
        ({"config": "long", "evaluation_split": "dev"}, "it has no split 'dev'; its splits are train, test"),
    ],
)
def test_a_config_or_split_that_is_not_there_is_named(folder: Path, named: dict[str, str], why: str) -> None:
    entry = dataclasses.replace(catalog.resolve(settings()).dataset, **named)
    with pytest.raises(ValueError, match=why):
        read_hub_files(entry, folder, None)
