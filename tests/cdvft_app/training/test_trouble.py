"""Runs that cannot go on end with what happened, why, and what to try."""

from __future__ import annotations

import dataclasses
import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from listening import Listener, run
from transformers import TrainerState

from cdvft_app.catalog.dataset_readers import Rows, Split
from cdvft_app.events import Halt, Step, TrainingFailed, TrainingStopped
from cdvft_app.methods import METHODS
from cdvft_app.settings import RunSettings
from cdvft_app.training import trainer
from cdvft_app.training.callbacks import Clock, LossWatch, Reporter
from cdvft_app.training.loop import RaceTrainer


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
def test_a_run_that_goes_wrong_is_ended_with_advice(losses, failure):
    watch = LossWatch(learning_rate=0.3)
    advice = rf"{failure}.* learning rate 0\.3 .* try 0\.1, or 0\.03"
    with pytest.raises(TrainingFailed, match=advice) if failure else nullcontext():
        for step, loss in enumerate(losses, 1):
            watch.see(step, loss)


@pytest.mark.parametrize(
    ("settings", "ends"),
    [
        ({"alpha": 1000.0}, "or 0.03, or lower alpha (1000)."),
        ({"usual_rate": 0.02}, "or 0.03. The recipe's own rate is 0.02."),
        ({"alpha": 2.0, "usual_rate": 0.3}, "or 0.03, or lower alpha (2)."),
    ],
)
def test_the_advice_names_what_else_is_high(settings, ends):
    assert LossWatch(0.3, **settings).advice().endswith(ends)


@pytest.mark.parametrize(
    ("metric_name", "told"), [("accuracy", "accuracy 7.8\u00a0%. The"), ("pearson", "pearson 0.078. The")]
)
def test_a_broken_evaluation_is_told_in_short_numbers(metric_name, told, tmp_path):
    reporter = Reporter(
        emit=Listener(),
        should_stop=lambda: False,
        folder=tmp_path,
        clock=Clock(),
        watch=LossWatch(0.3),
        method=METHODS["cdvft"](),
        metric_name=metric_name,
        throughput_unit="examples/s",
        answer=lambda: None,
        chooses=False,
        patience=0,
        steps_per_epoch=1,
    )
    metrics = {"eval_loss": float("nan"), f"eval_{metric_name}": 0.07799442896935933}
    with pytest.raises(TrainingFailed) as failed:
        reporter.on_evaluate(None, TrainerState(), None, metrics)
    assert "the loss was not a number, " in str(failed.value) and told in str(failed.value)


@pytest.mark.parametrize(("method", "alpha_is_named"), [("cdvft", True), ("lora", False)])
def test_a_loss_that_is_not_a_number_ends_the_run(method, alpha_is_named, text_plan, text_rows, tmp_path):
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
def test_out_of_memory_says_what_to_lower(error, text_plan):
    what = r"batches of 8 .* 48 tokens.* Try batches of 4, a smaller “Longest text”, or fewer “Layers”\."
    settings = text_plan().settings
    with pytest.raises(TrainingFailed, match=what), trainer.user_facing_errors(settings, lambda: Halt.NO):
        raise error


def test_out_of_memory_with_images_names_their_size_as_the_page_does(
    image_plan, image_rows, tmp_path, monkeypatch
):
    def training_step(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(RaceTrainer, "training_step", training_step)
    what = r"up to 32 pixels\. .*, a smaller “Image size”, or fewer “Layers”\."
    with pytest.raises(TrainingFailed, match=what):
        run(image_plan(), image_rows, tmp_path)


def test_other_errors_are_not_dressed_up(text_plan):
    with (
        pytest.raises(RuntimeError, match="a fault of ours"),
        trainer.user_facing_errors(text_plan().settings, lambda: Halt.NO),
    ):
        raise RuntimeError("a fault of ours")


def test_stop_before_the_first_step_keeps_nothing(text_plan, text_rows, tmp_path):
    heard = Listener()
    with pytest.raises(TrainingStopped):
        trainer.train_plan(text_plan(), heard.append, lambda: True, tmp_path, rows=text_rows)
    assert heard.of(Step) == [] and not (tmp_path / trainer.ADAPTER).exists()


def test_a_choice_that_cannot_be_run_is_a_sentence(tmp_path):
    with pytest.raises(TrainingFailed, match=r"There is no recipe 'nothing'\. Choose one of sentiment"):
        trainer.train(RunSettings(recipe="nothing", method="lora"), print, lambda: False, tmp_path)
