"""What the configuration alone says of a model that is typed in."""

from __future__ import annotations

import pytest

from cdvft_app import catalog
from cdvft_app.settings import InvalidChoice, RunSettings
from cdvft_app.shapes.hub_models import describe_model

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
    found, listed = describe_model(typed, kind), catalog.get_model(known)
    assert set(found.layers) == set(listed.layers) and found.parameters == listed.parameters
    assert (found.kind, found.hidden_size, found.patch_size) == (kind, listed.hidden_size, listed.patch_size)
    assert catalog.get_model(typed, kind) == found


def test_a_run_on_it_is_counted_beforehand():
    describe_model("FacebookAI/roberta-base", "text")
    typed = catalog.resolve(RunSettings(method="lora", model="FacebookAI/roberta-base"))
    listed = catalog.resolve(RunSettings(method="lora", model="roberta_base"))
    assert typed.trainable_parameters() == listed.trainable_parameters() == 12 * 2 * 8 * (768 + 768)


def test_what_writes_is_read_by_a_head_where_text_is_asked_for():
    found = describe_model("HuggingFaceTB/SmolLM2-135M", "text")
    assert (found.kind, found.pooling) == ("text", "mean")
    assert describe_model("HuggingFaceTB/SmolLM2-135M", "generation").pooling == "none"


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


def test_the_layers_of_a_convnext_are_counted_by_shape():
    found = describe_model("timm/convnext_tiny", "image")
    widths, depths = (96, 192, 384, 768), (3, 3, 9, 3)
    assert {(one.name, one.d_out, one.d_in, one.count) for one in found.layers} == {
        *(("mlp.fc1", 4 * width, width, depth) for width, depth in zip(widths, depths, strict=True)),
        *(("mlp.fc2", width, 4 * width, depth) for width, depth in zip(widths, depths, strict=True)),
    }


def test_what_cannot_be_says_why():
    with pytest.raises(InvalidChoice, match="resnet18 has no linear layer to adapt: its 20 layers are conv"):
        describe_model("timm/resnet18", "image")
    with pytest.raises(InvalidChoice, match=r"its config\.json is not in the hub's cache"):
        describe_model("owner/nothing", "text")
