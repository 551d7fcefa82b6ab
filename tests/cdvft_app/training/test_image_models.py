"""Image models of timm that are no catalogue's: described by their configuration, then trained and merged."""

from __future__ import annotations

import json

import pytest
import tiny_models
import torch
from listening import run

from cdvft_app import catalog
from cdvft_app.events import Started
from cdvft_app.settings import RunSettings
from cdvft_app.shapes.hub_models import describe_model
from cdvft_app.training import trainable


@pytest.mark.parametrize(
    ("architecture", "targets", "size"),
    [
        ("test_convnext", ("mlp.fc1", "mlp.fc2"), 64),
        ("deit_tiny_patch16_224", ("qkv",), 32),
    ],
)
def test_timm_model_of_a_folder_trains(architecture, targets, size, tmp_path, image_rows):
    folder = tmp_path / "model"
    folder.mkdir()
    tiny_models.vit(folder, architecture)
    entry = describe_model(str(folder), "image")
    assert entry.default_targets == targets
    settings = RunSettings(
        recipe="mnist", model=str(folder), method="cdvft", max_steps=2, batch_size=8, image_size=size
    )
    plan = catalog.resolve(settings)
    heard, done = run(plan, image_rows, tmp_path / "run")
    assert done.state == "finished" and heard.losses()
    (started,) = heard.of(Started)
    assert started.trainable_parameters == plan.trainable_parameters()
    kept = json.loads((done.adapter_folder / "config.json").read_text())
    assert kept["model_args"] == ({"img_size": size} if architecture.startswith("deit") else {})
    assert kept["pretrained_cfg"]["mean"] == [0.5, 0.5, 0.5]
    task, model = trainable.load_trained(plan, done.adapter_folder, lambda fraction, text: None)
    (answer,) = task.predict([image_rows.evaluation.inputs[0]], model)
    assert sum(answer.probabilities) == pytest.approx(1) and len(answer.probabilities) == 3
    assert all(torch.isfinite(one).all() for one in model.parameters())
