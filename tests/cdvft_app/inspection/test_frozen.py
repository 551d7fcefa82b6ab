"""What the layers of a pretrained model receive for a text or for an image."""

import base64
import io
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from sent_numbers import floats
from timm.models import VisionTransformer
from torch import nn
from transformers import BertConfig, BertModel
from transformers.pytorch_utils import Conv1D

from cdvft_app.catalog.backbones import ImageBackbone, TextBackbone
from cdvft_app.catalog.dataset_readers import Rows, Split
from cdvft_app.inspection import frozen
from cdvft_app.inspection.sources import RecordedRun, Unavailable

RUN = RecordedRun("cdvft")


def decoded(said: dict) -> np.ndarray:
    return floats(said["data"]).reshape(-1, said["width"])


def test_inputs_are_what_the_layer_receives(monkeypatch):
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12}
    model = BertModel(BertConfig(**sizes))
    module = "encoder.layer.1.output.dense"
    encoded = {"input_ids": torch.tensor([[5, 6, 7]])}
    x, y = frozen.run(model, [module], encoded)[module]
    layer = model.get_submodule(module)
    assert x.shape == (3, 12)
    torch.testing.assert_close(y, layer(x))
    assert frozen.find_submodule(model, f"bert.{module}") is layer
    assert frozen.find_submodule(model, "nothing") is None
    assert not layer._forward_hooks

    def tokenizer(text, **_):
        return {"input_ids": torch.tensor([[5] * len(text.split())])}

    tokenizer.convert_ids_to_tokens = lambda ids: [f"<{int(one)}>" for one in ids]
    loaded = TextBackbone(model, tokenizer, None)
    monkeypatch.setattr(frozen, "backbone", lambda _: nullcontext(loaded))
    said = frozen.text_inputs(RUN, module, " a b ")
    assert said["tokens"] == ["<5>", "<5>"] and said["width"] == 12 and len(said["output_norms"]) == 2
    norm = pytest.approx(float(layer.weight.detach().norm()), rel=1e-5)
    assert frozen.weight_norms(RUN, [module, "nothing"]) == {module: norm}
    for text, sentence in ((" ", "Type a few words"), (7, "Type a few words"), ("x" * 401, "at most 400")):
        with pytest.raises(Unavailable, match=sentence):
            frozen.text_inputs(RUN, module, text)
    with pytest.raises(Unavailable, match="does not cut images into patches"):
        frozen.images(RUN)


def test_the_weight_of_a_conv1d_is_that_of_a_linear_layer(monkeypatch):
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("c_attn", Conv1D(6, 4))  # 6 of 4
    loaded = TextBackbone(model, None, None)
    monkeypatch.setattr(frozen, "backbone", lambda _: nullcontext(loaded))
    weight, x = frozen.weight(RUN, "c_attn"), torch.randn(3, 4)
    assert weight.shape == (6, 4)
    torch.testing.assert_close(x @ weight.T + model.c_attn.bias, model(x))


@pytest.fixture
def vision(monkeypatch) -> VisionTransformer:
    """A small vision transformer and three images of a run that has them."""
    torch.manual_seed(0)
    model = VisionTransformer(
        img_size=28, patch_size=14, embed_dim=8, depth=2, num_heads=2, num_classes=0, reg_tokens=1
    )
    loaded = ImageBackbone(model, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), None)
    drawn = np.random.default_rng(0).integers(0, 256, (3, 28, 28)).astype(np.uint8)
    rows = Rows(Split([], np.array([])), Split(list(drawn), np.array([1, 0, 1])), ("cat", "dog"), None)
    plan = SimpleNamespace(settings=SimpleNamespace(image_size=28), dataset="drawn")
    monkeypatch.setattr(frozen, "backbone", lambda _: nullcontext(loaded))
    monkeypatch.setattr(frozen.catalog, "resolve", lambda _: plan)
    monkeypatch.setattr(frozen, "load_rows", lambda *_, **__: rows)
    frozen._read_examples.cache_clear()
    yield model
    frozen._read_examples.cache_clear()


def test_each_patch_is_followed_from_its_own_pixels(vision):
    said = frozen.images(RUN)
    assert [image["label"] for image in said["images"]] == ["dog", "cat", "dog"]
    assert (said["before"], said["rows"], said["columns"]) == (("class token", "register 1"), 2, 2)
    shown = Image.open(io.BytesIO(base64.b64decode(said["images"][1]["picture"].partition(",")[2])))
    pixels = torch.from_numpy(np.asarray(shown).copy()).permute(2, 0, 1)

    module = "blocks.0.mlp.fc2"
    given = frozen.patch_inputs(RUN, module, 1)
    assert given["tokens"][:3] == ["class token", "register 1", "row 1, column 1"]
    assert given["width"] == 32 and len(given["output_norms"]) == 6
    x, y = frozen.run(vision, [module], {"x": (pixels[None] / 255 - 0.5) / 0.25})[module]
    np.testing.assert_allclose(decoded(given), x, atol=1e-5)
    np.testing.assert_allclose(given["output_norms"], y.norm(dim=-1), atol=1e-5)

    other = decoded(frozen.patch_inputs(RUN, "blocks.0.attn.qkv", 0))
    assert not np.allclose(other, decoded(frozen.patch_inputs(RUN, "blocks.0.attn.qkv", 1)))


def test_what_is_no_patch_of_an_image_is_a_sentence(vision):
    for place in (None, -1, 3, True, "1", 1.0, [0]):
        with pytest.raises(Unavailable, match="choose one of 3"):
            frozen.patch_inputs(RUN, "blocks.0.attn.qkv", place)
    with pytest.raises(Unavailable, match="does not work patch by patch"):
        frozen.patch_inputs(RUN, "patch_embed.proj", 0)
    with pytest.raises(Unavailable, match="choose one of its pictures"):
        frozen.text_inputs(RUN, "blocks.0.attn.qkv", "a b")
