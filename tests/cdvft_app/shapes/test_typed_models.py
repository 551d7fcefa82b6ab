"""What the configuration alone says of a model that is typed in."""

from __future__ import annotations

import pytest

from cdvft_app import catalog
from cdvft_app.settings import InvalidChoice, RunSettings
from cdvft_app.shapes.typed_models import described

pytestmark = pytest.mark.usefixtures("no_hub")


@pytest.fixture
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
    found, listed = described(typed, kind), catalog.get_model(known)
    assert set(found.layers) == set(listed.layers) and found.parameters == listed.parameters
    assert (found.kind, found.hidden_size, found.patch_size) == (kind, listed.hidden_size, listed.patch_size)
    assert catalog.get_model(typed, kind) == found


def test_a_run_on_it_is_counted_beforehand():
    described("FacebookAI/roberta-base", "text")
    typed = catalog.resolve(RunSettings(method="lora", model="FacebookAI/roberta-base"))
    listed = catalog.resolve(RunSettings(method="lora", model="roberta_base"))
    assert typed.trainable_parameters() == listed.trainable_parameters() == 12 * 2 * 8 * (768 + 768)


def test_what_writes_is_read_by_a_head_where_text_is_asked_for():
    found = described("HuggingFaceTB/SmolLM2-135M", "text")
    assert (found.kind, found.pooling) == ("text", "mean")
    assert described("HuggingFaceTB/SmolLM2-135M", "generation").pooling == "none"


def test_what_cannot_be_says_why():
    with pytest.raises(InvalidChoice, match="not a plain vision transformer"):
        described("timm/resnet18", "image")
    with pytest.raises(InvalidChoice, match=r"its config\.json is not in the hub's cache"):
        described("owner/nothing", "text")
