"""Models that are typed in: a folder of this machine, or a hub id, where a person's own machine is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdvft_app import catalog
from cdvft_app.settings import InvalidChoice, RunSettings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def test_a_folder_with_a_model_is_taken_where_it_lies(folder: Path) -> None:
    plan = catalog.resolve(RunSettings(method="cdvft", model=str(folder)))
    assert (plan.model.source, plan.model.location, plan.model.revision) == ("local", str(folder), None)
    assert plan.settings.model == str(folder)


@pytest.mark.parametrize("lacking", ["config.json", "model.safetensors"])
def test_a_folder_without_a_model_is_refused(folder: Path, lacking: str) -> None:
    (folder / lacking).unlink()
    with pytest.raises(InvalidChoice, match=r"nor a folder with a config\.json and weights as safetensors"):
        catalog.get_model(str(folder))


@pytest.mark.parametrize("key", ["../x", "owner/../name", "a/b/c", "~", "./here"])
def test_no_other_path_is_one(key: str) -> None:
    with pytest.raises(InvalidChoice):
        catalog.get_model(key)


def test_a_public_server_looks_into_no_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    (folder / "config.json").unlink()
    with pytest.raises(InvalidChoice, match="on a public server ids cannot be typed in"):
        catalog.get_model(str(folder))
