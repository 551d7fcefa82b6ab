"""The real trainer on a tiny model, for processes that find it by name: the model lies beside the runs.

Or, where TINY_MODEL says so, elsewhere.
"""

import dataclasses
import os
from pathlib import Path

import numpy as np

from cdvft_app import catalog
from cdvft_app.catalog.dataset_readers import Rows, Split
from cdvft_app.training import trainer

MODEL = "bert"  # a folder beside the store's


def save_model(folder: Path, **more: float) -> None:
    """A tiny model, with dropout where `more` of its settings says nothing else."""
    import tiny_models

    tiny_models.bert(folder, **more)


def train(settings, emit, should_stop, folder, resume=False):
    location = os.environ.get("TINY_MODEL") or str(folder.parents[2] / MODEL)
    model = dataclasses.replace(catalog.get_model("minilm"), source="local", location=location)
    labels = np.arange(48) % 2
    texts = [f"{'film ' * (1 + 5 * number % 7)}{('bad', 'good')[number % 2]}" for number in range(48)]
    opposite = Split(texts[24:32], 1 - labels[24:32])  # the best is an early step
    chooses = opposite if settings.keep == "best" else None
    rows = Rows(
        Split(texts[:32], labels[:32]), Split(texts[32:], labels[32:]), ("bad", "good"), None, chooses
    )
    plan = dataclasses.replace(catalog.resolve(settings), model=model)
    return trainer.train_plan(plan, emit, should_stop, folder, resume, rows=rows)
