from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import tiny_models
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModel, BertTokenizerFast, GPT2Config, GPT2Model

from cdvft_app import catalog
from cdvft_app.catalog import sources
from cdvft_app.catalog.backbones import load_image_backbone, load_text_backbone
from cdvft_app.catalog.download import DownloadFailed
from cdvft_app.catalog.entries import ModelEntry
from cdvft_app.catalog.hub import Snapshot


def local(folder: Path, kind: str = "text", **changes) -> ModelEntry:
    typed = catalog.get_model("owner/name", kind)
    return replace(typed, source="local", location=str(folder), revision=None, **changes)


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """A tiny BERT with its pooler, and its tokenizer, as a folder."""
    return tiny_models.bert(tmp_path)


def test_a_text_model(bert: Path) -> None:
    AutoModel.from_pretrained(bert, dtype=torch.bfloat16).save_pretrained(bert)
    loaded = load_text_backbone(local(bert))
    assert loaded.model.dtype == torch.float32  # whatever it was saved in
    assert (loaded.model.pooler, loaded.commit) == (None, None)
    reference = AutoModel.from_pretrained(bert, dtype=torch.float32).eval()
    inputs = loaded.tokenizer(["a good film", "film"], return_tensors="pt", padding=True)
    with torch.no_grad():
        ours = loaded.model.eval()(**inputs).last_hidden_state
        theirs = reference(**inputs).last_hidden_state
    assert ours.shape == (2, 5, 32) and torch.equal(ours, theirs)


def test_a_model_of_the_hub_comes_with_its_commit(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def snapshot(*names, **details) -> Snapshot:
        asked.append((*names, details["patterns"], details["title"]))
        return Snapshot(bert, "c" * 40)

    monkeypatch.setattr(sources.hub, "snapshot", snapshot)
    entry = catalog.get_model("roberta_base")
    assert load_text_backbone(entry).commit == "c" * 40
    assert asked == [("FacebookAI/roberta-base", "model", entry.revision, None, "RoBERTa-base")]


def test_a_tokenizer_without_padding_gets_some(tmp_path: Path) -> None:
    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "film")
    GPT2Model(GPT2Config(vocab_size=len(words), n_embd=16, n_layer=1, n_head=2)).save_pretrained(tmp_path)
    vocabulary = {word: place for place, word in enumerate(words)}
    BertTokenizerFast(vocab=vocabulary, pad_token=None, eos_token="[SEP]").save_pretrained(tmp_path)
    loaded = load_text_backbone(local(tmp_path))
    assert loaded.tokenizer.pad_token == "[SEP]"
    assert loaded.model.config.pad_token_id == words.index("[SEP]")


def test_pickled_weights_are_refused(bert: Path) -> None:
    (bert / "model.safetensors").unlink()
    torch.save({"weight": torch.zeros(2)}, bert / "pytorch_model.bin")
    with pytest.raises(DownloadFailed, match=r"owner/name could not be loaded: .*model\.safetensors"):
        load_text_backbone(local(bert))


def test_code_in_a_repository_is_never_run(bert: Path) -> None:
    (bert / "custom.py").write_text("raise SystemExit('this must never run')")
    config = json.loads((bert / "config.json").read_text())
    own = {"AutoConfig": "custom.Config", "AutoModel": "custom.Model"}
    config |= {"model_type": "custom", "auto_map": own}
    (bert / "config.json").write_text(json.dumps(config))
    with pytest.raises(DownloadFailed, match="could not be loaded"):
        load_text_backbone(local(bert))


OTHER_WEIGHTS = {"weight": torch.zeros(2)}
DAMAGE = {
    "no folder": shutil.rmtree,
    "weights cut": lambda folder: os.truncate(folder / "model.safetensors", 500),
    "weights of another model": lambda folder: save_file(
        OTHER_WEIGHTS, folder / "model.safetensors", {"format": "pt"}
    ),
    "settings torn": lambda folder: (folder / "config.json").write_text("{"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_folders_that_cannot_be_loaded(bert: Path, damage: str) -> None:
    DAMAGE[damage](bert)
    with pytest.raises(DownloadFailed, match="owner/name"):
        load_text_backbone(local(bert))


@pytest.fixture
def vit(tmp_path: Path) -> tuple[Path, torch.nn.Module]:
    """A timm ViT with random weights for 32 pixels, as a folder of the hub holds it."""
    torch.manual_seed(0)
    model = timm.create_model("test_vit", img_size=32)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    cut = {"input_size": [3, 32, 32], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    config = {"architecture": "test_vit", "num_classes": 1000, "pretrained_cfg": cut}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path, model


def test_an_image_model_at_its_own_and_another_size(vit: tuple[Path, torch.nn.Module]) -> None:
    folder, reference = vit
    loaded = load_image_backbone(local(folder, "image"), 32)
    assert (loaded.mean, loaded.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = reference.eval().forward_head(reference.forward_features(images), pre_logits=True)
        assert torch.allclose(loaded.model.eval()(images), expected, atol=1e-6)
    larger = load_image_backbone(local(folder, "image"), 64).model  # its position table is resampled
    assert larger(torch.zeros(1, 3, 64, 64)).shape == (1, larger.num_features)


def test_an_architecture_that_only_the_catalogue_knows(vit: tuple[Path, torch.nn.Module]) -> None:
    (vit[0] / "config.json").unlink()
    loaded = load_image_backbone(local(vit[0], "image", architecture="test_vit"), 32)
    assert loaded.mean == tuple(loaded.model.pretrained_cfg["mean"])


def told(config: str):
    return lambda folder: (folder / "config.json").write_text(config)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (AutoConfig.for_model("vit").save_pretrained,
         "is not a timm model. Choose one whose id begins with timm/"),
        (told('{"architecture": "no_such_model"}'), "could not be loaded: Unknown model"),
        (lambda folder: (folder / "model.safetensors").unlink(), "could not be loaded"),
        (lambda folder: save_file(OTHER_WEIGHTS, folder / "model.safetensors"),
         "could not be loaded: its weights lack blocks.0.attn"),
        (told('{"architecture": "test_resnet"}'), "could not be loaded: its weights lack bn1"),
    ],
)  # fmt: skip
def test_image_models_that_cannot_be_loaded(vit: tuple[Path, torch.nn.Module], damage, sentence: str) -> None:
    folder, _ = vit
    damage(folder)
    with pytest.raises(DownloadFailed, match=sentence):
        load_image_backbone(local(folder, "image"), 32)
