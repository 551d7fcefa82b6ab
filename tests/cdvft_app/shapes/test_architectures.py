"""From a name to an architecture: known names, timm names, folders, and a hub that answers or does not."""

from __future__ import annotations

import json
import threading
import time

import pytest
from hub_stub import Hub

from cdvft_app.catalog.entries import KNOWN_MODELS, find_known_model, nearest_known_models
from cdvft_app.settings import InvalidChoice
from cdvft_app.shapes.architectures import build

TINY_BERT = {
    "model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_size": 32, "intermediate_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 100,
}  # fmt: skip
HUB_ID = "someone/something"


def has(stub: Hub, configuration: object) -> None:
    """The hub has a model of this configuration, or of these bytes in its place."""
    content = configuration if isinstance(configuration, bytes) else json.dumps(configuration).encode()
    stub.files_of[HUB_ID] = {"config.json": content}


@pytest.mark.parametrize("model", KNOWN_MODELS, ids=lambda model: model.id)
def test_a_known_model_goes_by_all_its_names(model):
    for name in (model.id, model.id.split("/")[-1], model.id.upper(), *model.aliases):
        assert find_known_model(name) is model


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("roberta-base", "text"),
        ("meta-llama/Meta-Llama-3-8B", "generation"),
        ("gpt2", "generation"),
        ("google/vit-base-patch16-224-in21k", "image"),
        ("vit_base_patch16_224", "image"),
        ("deit_tiny_patch16_224", "image"),  # timm's, not in the list
        ("timm/vit_tiny_patch16_224.augreg_in21k", "image"),
    ],
)
def test_no_weights_are_made(name, kind):
    found = build(name)
    assert found.kind == kind
    assert {parameter.device.type for parameter in found.model.parameters()} == {"meta"}
    assert getattr(found.model, "pooler", None) is None


def test_a_hub_id_is_looked_up_by_its_configuration_alone(stub):
    has(stub, TINY_BERT)
    assert build(HUB_ID).configuration.hidden_size == 32
    assert stub.fetched == [f"/{HUB_ID}/resolve/main/config.json"]


def test_a_timm_model_on_the_hub_names_its_architecture(stub):
    has(stub, {"architecture": "vit_tiny_patch16_224", "num_classes": 10})
    assert build(HUB_ID).kind == "image"


@pytest.mark.parametrize(
    ("configuration", "sentence"),
    [
        (b"<html>", "is not a model's configuration"),
        ([1, 2], "is not a model's configuration"),
        (b"{" + b" " * 1_000_000 + b"}", "is not a model's configuration"),
        ({"model_type": "mystery", "auto_map": {"AutoModel": "code.py"}}, "never done here"),
        ({**TINY_BERT, "num_hidden_layers": 10**6}, "no depth from 1 to 512"),
        ({**TINY_BERT, "num_hidden_layers": "two"}, "cannot be read"),
        ({**TINY_BERT, "num_attention_heads": 5}, "No model fits"),
        ({"model_type": "t5"}, "encoder and a decoder"),
        ({"model_type": "mixtral"}, "mixture of experts"),
        ({"model_type": "llava"}, "joins several models"),
        ({"model_type": "swin"}, "no one number of attention heads"),
        ({"model_type": "mamba"}, "no one number of attention heads"),
        ({"model_type": "imagegpt"}, "does not cut images into patches"),
        ({"model_type": "gemma4_text"}, "settings that differ from layer to layer"),
        ({"model_type": "dinov3_vit"}, "takes pixel_values, and no text"),
        ({"model_type": "wav2vec2"}, "takes input_values, and no text"),
    ],
)
def test_what_the_hub_may_say_instead(stub, configuration, sentence):
    has(stub, configuration)
    with pytest.raises(InvalidChoice, match=sentence):
        build(HUB_ID)


def test_what_the_hub_does_not_have_or_not_give(stub):
    with pytest.raises(InvalidChoice, match=r"answered 404.*Check the id"):
        build(HUB_ID)
    stub.gated.add(HUB_ID)
    with pytest.raises(InvalidChoice, match=r"answered 403.*log in if the model is gated"):
        build(HUB_ID)


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "The Hub cannot be reached"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
    ],
)
def test_a_hub_out_of_reach_is_said_at_once(stub, monkeypatch, environment, sentence):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    waits, sleep, asking = [0.0], time.sleep, threading.get_ident()

    def wait(seconds: float) -> None:
        if threading.get_ident() == asking:  # and not a thread that another test left behind
            waits.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", wait)
    with pytest.raises(InvalidChoice, match=rf"{sentence}\. The nearest are roberta-base, "):
        build("someone/roberta-bas")
    assert not stub.tokens and max(waits) < 1  # the hub client's own retries wait for seconds


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("roberta-bas", "The nearest are roberta-base, "),
        ("meta-llama/Llama-3-8B-Instrukt", "Meta-Llama-3-8B"),
        ("gpt-2", "The nearest is gpt2. "),
        ("bert base uncased", "The nearest are bert-base-uncased"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_few_and_where_all_are(monkeypatch, name, near):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InvalidChoice, match=near) as refused:
        build(name)
    assert nearest_known_models("x/y") == nearest_known_models("../../etc/passwd") == [], "all are far"
    said = str(refused.value)
    assert "list of models on the Compare tab has all 21" in said
    assert sum(model.id.split("/")[-1] in said for model in KNOWN_MODELS) <= 3


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("no such thing", "neither a known model, a timm name, a folder"),
        ("../../etc/passwd", "neither a known model"),
        ("resnet50", "not a plain vision transformer"),
        ("cait_xxs24_224", "not a plain vision transformer"),
        ("vit_tiny_r_s16_p8_224", "not a plain vision transformer"),  # a ResNet makes its patches
    ],
)
def test_names_that_lead_nowhere(name, sentence):
    with pytest.raises(InvalidChoice, match=sentence):
        build(name)


@pytest.mark.parametrize("public", [("SPACE_ID", "owner/space"), ("GRADIO_SERVER_NAME", "0.0.0.0")])
@pytest.mark.parametrize("name", [HUB_ID, "{folder}"])
def test_a_public_server_reads_neither_the_hub_nor_its_own_disk(stub, monkeypatch, model_of, name, public):
    has(stub, TINY_BERT)
    folder = model_of(TINY_BERT)
    monkeypatch.setenv(*public)
    with pytest.raises(InvalidChoice, match="is not known here"):
        build(name.format(folder=folder))
    assert not stub.tokens, "it asked"


def test_images_of_another_size():
    assert build("vit_small_patch14_dinov2", image_size=70).model.patch_embed.num_patches == 25
    assert build("google/vit-base-patch16-224-in21k", image_size=64).configuration.image_size == 64
    for name in ("vit_small_patch14_dinov2", "google/vit-base-patch16-224-in21k"):
        for size in (0, 71, 10**6):
            with pytest.raises(InvalidChoice, match=f"got {size}; .* takes multiples of"):
                build(name, image_size=size)
    with pytest.raises(InvalidChoice, match="takes no images"):
        build("roberta-base", image_size=64)
