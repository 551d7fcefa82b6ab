"""Runs that cannot go on end with what happened, why, and what to try."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from listening import run

from cdvft_app.catalog.dataset_readers import Rows, Split
from cdvft_app.events import Halt, TrainingFailed
from cdvft_app.training import trainer


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
