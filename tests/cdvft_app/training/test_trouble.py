"""Runs that cannot go on end with what happened, why, and what to try."""

from __future__ import annotations

import dataclasses
import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from listening import run

from cdvft_app.catalog.dataset_readers import Rows, Split
from cdvft_app.events import Halt, TrainingFailed
from cdvft_app.training import trainer
from cdvft_app.training.callbacks import LossWatch


def series(*parts: tuple[float, float]) -> list[float]:
    """20 losses a part, from its start to its end."""
    return [value for start, end in parts for value in np.linspace(start, end, 20)]


@pytest.mark.parametrize(
    ("losses", "failure"),
    [
        (series((0.7, 0.6), (0.6, 0.5), (0.5, 0.3), (0.3, 0.2)), None),
        (series((0.7, 0.7), (1.0, 1.5), (1.5, 2.0), (2.0, 2.0)), None),
        (series((0.7, 0.7), (1.0, 2.0), (2.0, 4.0)), "The loss keeps rising: from 0.7 at the start"),
        (series((0.7, 0.7), (9.0, 6.0), (6.0, 4.0), (4.0, 2.5)), None),
        ([0.7, math.nan], "The loss is not a number at step 2"),
        ([0.7, math.inf], "The loss is infinite at step 2"),
    ],
    ids=["falls", "rises a little", "rises without bound", "jumps and comes back", "nan", "inf"],
)
def test_loss_watch_ends_diverging_runs(losses, failure):
    watch = LossWatch(learning_rate=0.3)
    advice = rf"{failure}.* learning rate 0\.3 .* try 0\.1, or 0\.03"
    with pytest.raises(TrainingFailed, match=advice) if failure else nullcontext():
        for step, loss in enumerate(losses, 1):
            watch.see(step, loss)


@pytest.mark.parametrize(("method", "alpha_is_named"), [("cdvft", True), ("lora", False)])
def test_nan_loss_fails_the_run(method, alpha_is_named, text_plan, text_rows, tmp_path):
    labels = text_rows.train.labels.astype(np.float32)
    labels[:] = np.nan
    rows = Rows(Split(text_rows.train.inputs, labels), text_rows.evaluation, (), None)
    plan = text_plan(method, alpha=1000.0)
    plan = dataclasses.replace(plan, dataset=dataclasses.replace(plan.dataset, metric="pearson"))
    with pytest.raises(TrainingFailed, match=r"The loss is not a number at step 1\. .*try") as failed:
        run(plan, rows, tmp_path)
    assert ("lower alpha (1000)" in str(failed.value)) is alpha_is_named
    assert not (tmp_path / trainer.ADAPTER).exists()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: not enough memory"),
        RuntimeError("MPS backend out of memory"),
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
    ],
    ids=["cpu", "mps", "cuda", "python"],
)
def test_out_of_memory_fails_the_run(error, text_plan):
    what = r"batches of 8 .* 48 tokens.* Try batches of 4, a smaller “Max length”, or fewer “Layers”\."
    settings = text_plan().settings
    with pytest.raises(TrainingFailed, match=what), trainer.user_facing_errors(settings, lambda: Halt.NO):
        raise error
