"""What is known to be out of reach before anything is fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdvft_app import catalog
from cdvft_app.catalog import hub
from cdvft_app.catalog.hub import HubStatus
from cdvft_app.catalog.sources import out_of_reach

pytestmark = pytest.mark.usefixtures("hub_client")


def of(model: str, dataset: str) -> list[catalog.ModelEntry | catalog.DatasetEntry]:
    return [catalog.get_model(model), catalog.get_dataset(dataset)]


def found(monkeypatch: pytest.MonkeyPatch, status: HubStatus) -> list[str]:
    """Once it is asked, the hub is found so; how often it was."""
    asked: list[str] = []
    monkeypatch.setattr(hub, "_ask", lambda address: asked.append(address) or status)
    return asked


def test_nothing_is_out_of_reach_while_the_hub_was_not_asked_or_answers(monkeypatch) -> None:
    asked = found(monkeypatch, HubStatus(True, "The hub answers."))
    assert out_of_reach(of("owner/model", "sst2")) is None and not asked
    assert out_of_reach(of("owner/model", "sst2"), ask=True) is None
    assert out_of_reach(of("owner/model", "sst2")) is None and len(asked) == 1


def test_what_a_silent_hub_would_have_to_give_is_named_and_it_is_asked_once(monkeypatch) -> None:
    asked = found(monkeypatch, HubStatus(False, "It is silent."))
    assert out_of_reach(of("minilm", "rotten_tomatoes"), ask=True) is None and not asked
    for ask in (True, True, False):
        assert out_of_reach(of("minilm", "sst2"), ask=ask) == (
            "GLUE SST-2 is not in the cache and cannot be fetched. It is silent."
        )
    assert out_of_reach(of("owner/model", "sst2")) == (
        "owner/model and GLUE SST-2 are not in the cache and cannot be fetched. It is silent."
    )
    assert out_of_reach(of("minilm", "rotten_tomatoes")) is None and len(asked) == 1


def test_what_the_cache_holds_needs_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert out_of_reach(of("owner/model", "rotten_tomatoes"))
    commit = "c0ffee" + "0" * 34
    repository = hub._repository_folder("owner/model", "model")
    (repository / "snapshots" / commit).mkdir(parents=True)
    (repository / "snapshots" / commit / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    assert out_of_reach(of("owner/model", "rotten_tomatoes")) is None
