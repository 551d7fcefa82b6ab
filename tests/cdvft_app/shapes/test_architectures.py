"""From a name to an architecture: known names, timm names, folders, and a hub that answers or does not."""

from __future__ import annotations

import json

import pytest
from hub_stub import Hub

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
