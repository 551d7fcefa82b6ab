"""Models are found by a part of their name: here first, then known ones, then the hub's."""

from __future__ import annotations

import pytest

from cdvft_app.catalog import hub
from cdvft_app.shapes import hub_models
from cdvft_app.shapes.hub_models import search_models


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the hub is asked; it has one model of each name."""
    searched: list[str] = []

    def answer(text: str, kind: str, limit: int):
        searched.append(text)
        return [
            {"id": f"ada/{text}", "downloads": 5},
            {"id": "FacebookAI/roberta-base", "downloads": 9},
        ], None

    monkeypatch.setattr(hub_models, "search_hub", answer)
    monkeypatch.setattr(hub_models, "to_fetch", lambda entry: None if entry.key == "minilm" else "it")
    return searched


def test_what_is_here_comes_first_and_nothing_comes_twice(asked: list[str]) -> None:
    found, message = search_models("", "text")
    assert (found[0].key, found[0].where, found[0].parameters) == ("minilm", "offline", 22_565_376)
    assert {one.where for one in found[1:3]} == {"listed"} and message is None and asked == []
    found, _ = search_models("roberta", "text")
    assert asked == ["roberta"]
    keys = [one.key for one in found]
    assert keys[:2] == ["roberta_base", "roberta_large"] and keys[-1] == "ada/roberta"
    assert "FacebookAI/roberta-base" not in keys  # it is the listed one


@pytest.mark.parametrize(
    ("text", "kind", "there", "where"),
    [
        ("BERT uncased", "text", "google-bert/bert-base-uncased", "known"),
        ("gpt2", "generation", "openai-community/gpt2", "known"),
        ("dinov2", "image", "vit_small", "listed"),
        ("xyz", "image", "ada/xyz", "hub"),
    ],
)
def test_all_words_count_in_any_case_and_only_for_the_kind(asked, text, kind, there, where) -> None:
    found, _ = search_models(text, kind)
    assert (there, where) in [(one.key, one.where) for one in found]
    assert not any(one.key.startswith("google/vit") for one in found)  # transformers' own: images are timm's


def test_a_public_server_offers_its_list_only(asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    found, _ = search_models("bert", "text")
    assert {one.where for one in found} == {"listed"} and asked == []


def test_the_hub_is_searched_by_task_for_safetensors(stub) -> None:
    stub.models = [{"id": "ada/bert", "modelId": "ada/bert", "downloads": 7}]
    found, message = hub.search_hub("bert", "text", 3)
    assert (found, message) == ([{"id": "ada/bert", "downloads": 7}], None)
    assert len(stub.searched) == 4
    for path in stub.searched:
        assert "search=bert" in path and "filter=safetensors" in path and "limit=3" in path
    assert {path.partition("pipeline_tag=")[2].partition("&")[0] for path in stub.searched} == {
        "fill-mask", "feature-extraction", "sentence-similarity", "text-classification"
    }  # fmt: skip


def test_a_hub_that_does_not_answer_is_a_sentence(monkeypatch: pytest.MonkeyPatch, stub) -> None:
    monkeypatch.setattr(hub, "SEARCH_TIMEOUT", 0.01)
    assert hub.search_hub("bert", "text", 3) == ([], hub.NO_ANSWER)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found, message = search_models("zzz", "text")
    assert found == [] and message == hub.hub_status().sentence and "HF_HUB_OFFLINE" in message
