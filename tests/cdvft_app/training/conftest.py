"""Tiny real models in local folders, and rows that they can learn: no network, no mirror."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from in_process import InProcess
from listening import run
from safetensors.torch import save_file
from transformers import BertConfig, BertModel, BertTokenizerFast, RobertaConfig, RobertaModel

from cdvft_app.catalog import Plan, get_model, resolve
from cdvft_app.catalog.rows import Rows, Split
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore
from cdvft_app.training.jobs import JobQueue

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "good",
    "bad",
    "fine",
    "awful",
    "film",
    "plot",
    "the",
    "a",
    "very",
]
SIZES = {
    "vocab_size": len(WORDS),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.0,
}


def _text_folder(folder: Path, model: torch.nn.Module) -> Path:
    BertTokenizerFast(vocab={word: place for place, word in enumerate(WORDS)}).save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return _text_folder(tmp_path_factory.mktemp("bert"), BertModel(BertConfig(**SIZES)))


@pytest.fixture(scope="session")
def roberta_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = RobertaConfig(**SIZES, pad_token_id=0, type_vocab_size=2)
    return _text_folder(tmp_path_factory.mktemp("roberta"), RobertaModel(config))


@pytest.fixture(scope="session")
def vit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    model = timm.create_model("test_vit", num_classes=0)
    save_file(model.state_dict(), folder / "model.safetensors")
    normalisation = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    (folder / "config.json").write_text(
        json.dumps({"architecture": "test_vit", "pretrained_cfg": normalisation})
    )
    return folder


def reviews(count: int, seed: int) -> Split:
    """Texts of uneven length whose label is said by one word."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    texts = [
        " ".join([*random.choice(WORDS[9:], random.integers(1, 12)), ("bad", "good")[label]])
        for label in labels
    ]
    return Split(texts, labels)


@pytest.fixture(scope="session")
def text_rows() -> Rows:
    return Rows(reviews(60, seed=1), reviews(24, seed=2), ("negative", "positive"), None)


@pytest.fixture(scope="session")
def image_rows() -> Rows:
    def draw(count: int, seed: int) -> Split:
        random = np.random.default_rng(seed)
        labels = random.integers(0, 3, count)
        images = random.integers(0, 60, (count, 12, 12)).astype(np.uint8) + (
            60 * labels[:, None, None]
        ).astype(np.uint8)
        return Split(images, labels)

    return Rows(draw(24, seed=1), draw(12, seed=2), ("dark", "grey", "bright"), None)


@pytest.fixture(scope="session")
def text_plan(bert_folder: Path):
    """`text_plan(method, **settings)`: the sentiment recipe on the tiny BERT."""

    def make(method: str = "cdvft", **chosen: object) -> Plan:
        defaults = {"epochs": 2.0, "batch_size": 8, "fourierft_n": 40, "c3a_block_size": 16, "lora_r": 2}
        plan = resolve(RunSettings(recipe="sentiment", method=method, **{**defaults, **chosen}))
        model = dataclasses.replace(get_model("minilm"), source="local", location=str(bert_folder))
        return dataclasses.replace(plan, model=model)

    return make


@pytest.fixture(scope="session")
def image_plan(vit_folder: Path):
    """`image_plan(method, **settings)`: the mnist recipe on timm's test ViT at 32 pixels."""

    def make(method: str = "cdvft", **chosen: object) -> Plan:
        defaults = {"epochs": 1.0, "batch_size": 8, "fourierft_n": 40, "c3a_block_size": 16}
        plan = resolve(RunSettings(recipe="mnist", method=method, **{**defaults, **chosen}))
        model = dataclasses.replace(
            get_model("vit_small"), source="local", location=str(vit_folder), architecture=None
        )
        settings = plan.settings.model_copy(update={"image_size": 32})
        return dataclasses.replace(plan, model=model, settings=settings)

    return make


@pytest.fixture(scope="session")
def whole(text_plan, text_rows, tmp_path_factory):
    """One run from start to end, as it was heard, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    heard, _ = run(text_plan(checkpoint_every=5), text_rows, folder)
    return heard, folder


@pytest.fixture
def store(tmp_path):
    made = RunStore(tmp_path)
    yield made
    made.close()


@pytest.fixture
def queue(store):
    queues = []

    def make(train, workers=1, start=True):
        queues.append(JobQueue(store, workers, InProcess(train)))
        if start:
            queues[-1].start()
        return queues[-1]

    yield make
    for one in queues:
        one.close()
