"""From a name to an architecture: known names, timm names, folders, and a hub that answers or does not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from cdvft_app.catalog.entries import KNOWN_MODELS, find_known_model, nearest_known_models
from cdvft_app.settings import InvalidChoice
from cdvft_app.shapes.architectures import build

TINY_BERT = {
    "model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_size": 32, "intermediate_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 100,
}  # fmt: skip


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[int, bytes], list[str]]]:
    """A stand-in for the hub that gives one answer to everything and notes the paths asked for."""
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "SPACE_ID"):
        monkeypatch.delenv(variable, raising=False)
    asked: list[str] = []
    said: list[tuple[int, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:  # whether there is a hub at all
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            asked.append(self.path)
            status, content = said[-1]
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    def answer(status: int, content: bytes) -> list[str]:
        said.append((status, content))
        return asked

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    yield answer
    server.shutdown()
    server.server_close()


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


def test_a_folder_needs_only_its_configuration(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(TINY_BERT))
    assert build(str(tmp_path)).configuration.hidden_size == 32


def test_a_hub_id_is_looked_up_by_its_configuration_alone(hub):
    asked = hub(200, json.dumps(TINY_BERT).encode())
    assert build("someone/tiny-bert").configuration.hidden_size == 32
    assert asked == ["/someone/tiny-bert/resolve/main/config.json"]


def test_a_timm_model_on_the_hub_names_its_architecture(hub):
    hub(200, json.dumps({"architecture": "vit_tiny_patch16_224", "num_classes": 10}).encode())
    assert build("someone/fine-tuned-vit").kind == "image"


@pytest.mark.parametrize(
    ("status", "content", "sentence"),
    [
        (404, b"", "answered 404.*Check the id"),
        (403, b"", "answered 403.*log in if the model is gated"),
        (200, b"<html>", "is not a model's configuration"),
        (200, b"[1, 2]", "is not a model's configuration"),
        (200, b"{" + b" " * 1_000_000 + b"}", "is not a model's configuration"),
        (200, b'{"model_type": "mystery", "auto_map": {"AutoModel": "code.py"}}', "never done here"),
        (200, json.dumps({**TINY_BERT, "num_hidden_layers": 10**6}).encode(), "no depth from 1 to 512"),
        (200, json.dumps({**TINY_BERT, "num_hidden_layers": "two"}).encode(), "cannot be read"),
        (200, json.dumps({**TINY_BERT, "num_attention_heads": 5}).encode(), "No model fits"),
        (200, b'{"model_type": "t5"}', "encoder and a decoder"),
        (200, b'{"model_type": "mixtral"}', "mixture of experts"),
        (200, b'{"model_type": "llava"}', "joins several models"),
        (200, b'{"model_type": "swin"}', "no one number of attention heads"),
        (200, b'{"model_type": "mamba"}', "no one number of attention heads"),
        (200, b'{"model_type": "imagegpt"}', "does not cut images into patches"),
        (200, b'{"model_type": "gemma4_text"}', "settings that differ from layer to layer"),
        (200, b'{"model_type": "dinov3_vit"}', "takes pixel_values, and no text"),
        (200, b'{"model_type": "wav2vec2"}', "takes input_values, and no text"),
    ],
)
def test_what_the_hub_may_say_instead(hub, status, content, sentence):
    hub(status, content)
    with pytest.raises(InvalidChoice, match=sentence):
        build("someone/something")


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "The hub cannot be reached from here"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set, so the hub is not asked"),
    ],
)
def test_a_hub_out_of_reach_is_said_at_once(hub, monkeypatch, environment, sentence):
    asked = hub(200, json.dumps(TINY_BERT).encode())
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
    assert asked == [] and max(waits) < 1  # the hub client's own retries wait for seconds


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
@pytest.mark.parametrize("name", ["someone/something", "{folder}"])
def test_a_public_server_reads_neither_the_hub_nor_its_own_disk(hub, monkeypatch, tmp_path, name, public):
    asked = hub(200, json.dumps(TINY_BERT).encode())
    (tmp_path / "config.json").write_text(json.dumps(TINY_BERT))
    monkeypatch.setenv(*public)
    with pytest.raises(InvalidChoice, match="is not known here"):
        build(name.format(folder=tmp_path))
    assert asked == []


def test_images_of_another_size():
    assert build("vit_small_patch14_dinov2", image_size=70).model.patch_embed.num_patches == 25
    assert build("google/vit-base-patch16-224-in21k", image_size=64).configuration.image_size == 64
    for name in ("vit_small_patch14_dinov2", "google/vit-base-patch16-224-in21k"):
        for size in (0, 71, 10**6):
            with pytest.raises(InvalidChoice, match=f"got {size}; .* takes multiples of"):
                build(name, image_size=size)
    with pytest.raises(InvalidChoice, match="takes no images"):
        build("roberta-base", image_size=64)
