"""What is said of a model beside its field."""

from __future__ import annotations

import pytest

from cdvft_app.catalog.hub import HubModelInfo
from cdvft_app.ui.train import model_choice
from cdvft_app.ui.train.model_choice import said

TYPED = "FacebookAI/roberta-base"


@pytest.fixture
def hub_says(monkeypatch: pytest.MonkeyPatch):
    """`hub_says(about)`: what the hub answers, which nobody asks."""
    monkeypatch.setattr(model_choice, "to_fetch", lambda entry: "it")
    return lambda found: monkeypatch.setattr(model_choice, "model_info", lambda repository: found)


@pytest.mark.parametrize(
    ("found", "parts"),
    [
        (HubModelInfo("mit", 499_000_000, True), ("499 MB to download", "Licence: mit, as its card says.")),
        (None, ("about 496 MB to download, if kept as float32", "Licence: see its card.")),
    ],
)
def test_a_typed_model_is_told_of_before_anything_is_downloaded(hub_says, found, parts) -> None:
    hub_says(found)
    told = said(TYPED, "sentiment")
    always = "it reads text", "124.1 million parameters", "attention.self.query, ", "query and value"
    assert all(part in told for part in (*always, *parts)), told


@pytest.mark.parametrize(
    ("key", "recipe", "found", "why"),
    [
        (TYPED, "sentiment", HubModelInfo("mit", 5, False), "no weights as safetensors"),
        (TYPED, "mnist", None, "reads text, and this recipe is for a model that sees images"),
        ("timm/resnet18", "mnist", None, "no linear layer to adapt"),
        ("owner/../x", "sentiment", None, "is not a hub id"),
    ],
)
def test_why_it_cannot_be_taken_is_told(hub_says, key, recipe, found, why) -> None:
    hub_says(found)
    told = said(key, recipe)
    assert 'class="problem"' in told and why in told


def test_a_listed_model_states_its_licence() -> None:
    told = said("minilm", "sentiment")
    assert "22.6 million parameters" in told and "MIT as packaged" in told
    assert said(None, "sentiment") == said("minilm", {"a": []}) == ""


def test_a_public_server_reads_no_typed_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setattr(model_choice, "model_info", pytest.fail)
    assert "on a public server ids cannot be typed in" in said(TYPED, "sentiment")


def test_a_search_that_finds_nothing_says_so_beside_why_the_hub_was_not_asked(monkeypatch) -> None:
    monkeypatch.setattr(model_choice, "search_models", lambda text, kind: ([], "The hub is away."))
    listed, message = model_choice.find("convnext", "sentiment")
    assert listed["visible"] is False
    assert "No model of this kind has that in its name." in message and "The hub is away." in message
