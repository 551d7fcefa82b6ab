"""What the configuration alone says of a model that is typed in, and how models are searched."""

from __future__ import annotations

import pytest

from cdvft_app import catalog
from cdvft_app.settings import RunSettings
from cdvft_app.shapes import hub_models
from cdvft_app.shapes.hub_models import describe_model, search_models


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.parametrize(
    ("typed", "known", "kind"),
    [
        ("FacebookAI/roberta-base", "roberta_base", "text"),
        ("timm/vit_base_patch16_224", "vit_base", "image"),
        ("HuggingFaceTB/SmolLM2-135M", "smollm2", "generation"),
    ],
)
def test_layers_and_size_are_those_of_the_same_model_in_the_catalogue(typed, known, kind):
    found, listed = describe_model(typed, kind), catalog.get_model(known)
    assert set(found.layers) == set(listed.layers) and found.parameters == listed.parameters
    assert (found.kind, found.hidden_size, found.patch_size) == (kind, listed.hidden_size, listed.patch_size)
    assert catalog.get_model(typed, kind) == found


@pytest.mark.parametrize(
    ("name", "targets", "size", "step"),
    [
        ("convnext_tiny", ("mlp.fc1", "mlp.fc2"), 224, 32),
        ("swin_tiny_patch4_window7_224", ("attn.qkv",), 224, 32),
        ("pvt_v2_b0", ("attn.q", "attn.kv"), 224, 32),
        ("mixer_b16_224", ("fc1", "fc2"), 224, 16),
    ],
)
def test_any_timm_model_with_linear_layers_has_targets_of_its_own(name, targets, size, step):
    found = describe_model(f"timm/{name}", "image")
    assert (found.default_targets, found.image_size, found.patch_size) == (targets, size, step)
    assert found.licence and not found.is_countable
    settings = RunSettings(recipe="mnist", method="cdvft", model=f"timm/{name}")
    plan = catalog.resolve(settings)
    assert plan.settings.image_size == size and plan.trainable_parameters() > 0


# Found by a part of their name: here first, then known ones, then the hub's


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the hub is asked; it has one model of each name."""
    searched: list[str] = []

    def answer(text: str, kind: str, limit: int):
        searched.append(text)
        found = {f"ada/{text}": 5, "FacebookAI/roberta-base": 9}
        return [{"id": key, "downloads": downloads} for key, downloads in found.items()], None

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


def test_a_public_server_offers_its_list_only(asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    found, _ = search_models("bert", "text")
    assert {one.where for one in found} == {"listed"} and asked == []
