"""What is promised exactly is exactly what the real models train and what is kept of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from cdvft.mean_pooled import MeanPooledForSequenceClassification
from cdvft_app import catalog
from cdvft_app.methods import METHODS
from cdvft_app.prediction import count
from cdvft_app.settings import RunSettings
from cdvft_app.shapes.architectures import build
from cdvft_app.training import trainable

SETTINGS: dict[str, dict[str, Any]] = {"cdvft": {"m": 3, "block_size": 100}, "lora": {"lora_r": 4}}


def counted(**settings: Any) -> Any:
    return count(catalog.resolve(RunSettings(**{"method": "cdvft", **settings})))


@cache
def backbone(recipe: str) -> tuple[nn.Module, str]:
    """The recipe's model with a head for its labels and random weights, and the head's name."""
    if recipe == "mnist":
        model = timm.create_model("vit_small_patch14_dinov2", num_classes=10, img_size=70)
        return model, "head"
    found = build("minilm")
    inner: Any = type(found.model)(found.configuration)
    inner.pooler = None
    return MeanPooledForSequenceClassification.on(inner, num_labels=2), "classifier"


@pytest.mark.parametrize("recipe", ["sentiment", "mnist"])
@pytest.mark.parametrize("method", METHODS)
def test_numbers_and_file_of_the_offline_recipes(recipe: str, method: str, tmp_path: Path) -> None:
    plan = catalog.resolve(RunSettings(recipe=recipe, method=method, **SETTINGS.get(method, {})))
    promised = count(plan)
    assert promised
    base, head = backbone(recipe)
    with torch.random.fork_rng():
        model = trainable.build(plan.settings, base, head)
    kept = trainable.save(model, tmp_path)
    trained, _, _ = trainable.count_parameters(model, head)
    if hasattr(model, "unload"):
        model.unload()
    assert promised.trainable_parameters == trained
    if method == "full":  # names of embeddings and norms are in the file's header, not in the count
        assert promised.adapter_bytes < kept < 1.001 * promised.adapter_bytes
    else:
        assert promised.adapter_bytes == kept


def test_texts_count_their_mean_length_and_memory_their_longest() -> None:
    usual = counted()
    assert counted(max_length=27).step_flops == usual.step_flops  # no review has more on average
    assert counted(max_length=20).step_flops < usual.step_flops
    assert counted(max_length=512).step_bytes == counted(max_length=73).step_bytes > usual.step_bytes
    short, long = (counted(recipe="sst2", max_length=length) for length in (64, 128))
    assert short.step_flops < long.step_flops


def test_evaluations_are_forward_passes() -> None:
    chosen = {"method": "head", "evaluation_examples": 320, "max_steps": 5, "recipe": "mnist"}
    last = counted(**chosen, keep="last")
    forward = 320 / 16 * last.step_flops  # of 16 a batch; head only: hardly any backward pass
    assert last.evaluations == 5
    assert last.evaluation_flops == pytest.approx(5 * forward, rel=1e-3)
    assert last.final_evaluation_flops == pytest.approx(forward, rel=1e-3)
    # Five on as many validation rows, then what is kept and the last step.
    best = counted(**chosen)
    assert best.evaluations == 6
    assert best.evaluation_flops == pytest.approx(7 * forward, rel=1e-3)
    assert best.final_evaluation_flops == pytest.approx(2 * forward, rel=1e-3)
    once = counted(**chosen, keep="last", evaluations=1)
    assert (once.evaluations, once.evaluation_flops) == (1, once.final_evaluation_flops)
