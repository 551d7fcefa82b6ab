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


def found(monkeypatch: pytest.MonkeyPatch, status: HubStatus) -> None:
    monkeypatch.setitem(hub._known, hub.endpoint(), (0.0, status))


def test_nothing_is_out_of_reach_while_the_hub_was_not_asked_or_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub, "_ask", lambda address: pytest.fail("the hub was asked"))
    assert out_of_reach(of("owner/model", "sst2")) is None
    found(monkeypatch, HubStatus(True, "The hub answers."))
    assert out_of_reach(of("owner/model", "sst2")) is None


def test_what_a_silent_hub_would_have_to_give_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, HubStatus(False, "It is silent."))
    assert out_of_reach(of("minilm", "rotten_tomatoes")) is None
    assert out_of_reach(of("minilm", "sst2")) == (
        "GLUE SST-2 is not in the cache and cannot be fetched. It is silent."
    )
    assert out_of_reach(of("owner/model", "sst2")) == (
        "owner/model and GLUE SST-2 are not in the cache and cannot be fetched. It is silent."
    )


def test_the_hub_is_asked_once_where_it_is_needed_and_it_was_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def silent(address: str) -> HubStatus:
        asked.append(address)
        return HubStatus(False, "It is silent.")

    monkeypatch.setattr(hub, "_ask", silent)
    assert out_of_reach(of("minilm", "rotten_tomatoes"), ask=True) is None
    assert asked == []
    sentence = "GLUE SST-2 is not in the cache and cannot be fetched. It is silent."
    assert [out_of_reach(of("minilm", "sst2"), ask=True) for _ in range(2)] == [sentence] * 2
    assert len(asked) == 1


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
