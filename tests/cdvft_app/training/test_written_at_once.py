"""What makes writing fast changes no answer: ended rows are left out, updates stand in the weights."""

from __future__ import annotations

import pytest
import torch
from listening import run
from peft.tuners.tuners_utils import BaseTunerLayer

from cdvft_app.catalog.download import never, silent
from cdvft_app.events import Evaluation
from cdvft_app.store import written_answers
from cdvft_app.tasks import writing
from cdvft_app.tasks.generation import GenerationTask
from cdvft_app.tasks.prepare import prepare
from cdvft_app.training import trainable

PROMPTS = ["go 1", "go go 2", "a", "go go go 1 2 3", "b c d", "??"]


def adapted(answer_plan, answer_rows, method="lora", **more):
    """A task whose model has an adapter with numbers in it."""
    plan = answer_plan(method, **more)
    task = prepare(plan, silent, never, answer_rows).task
    model = trainable.build(plan.settings, task.model, task.head)
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn_like(parameter) * 0.3
    return task


def written(task, end, most=24):
    """Each row's tokens up to the end, and the probabilities of these."""
    examples = task.examples(PROMPTS)
    batch = task.collate([examples[place] for place in range(len(PROMPTS))])
    steps = list(writing.tokens(task.model, batch, end=end, most=most))
    found = []
    for row in zip(*(zip(*step, strict=True) for step in steps), strict=True):
        ids = [int(token) for token, _ in row]
        length = ids.index(end) + 1 if end in ids else len(ids)
        found.append((ids[:length], [float(share) for _, share in row[:length]]))
    return found


@pytest.mark.parametrize("share", [0.0, 0.75, 1.0])
def test_rows_that_have_ended_are_left_out_and_the_others_go_on(share, answer_plan, answer_rows, monkeypatch):
    task = adapted(answer_plan, answer_rows)
    endless = written(task, end=-1)
    ends = {one for ids, _ in endless for one in ids}
    first = {end: [ids.index(end) for ids, _ in endless if end in ids] for end in ends}
    end = max(first, key=lambda one: len(set(first[one])))
    assert len(set(first[end])) > 2, "rows end at different places"
    sizes = []
    monkeypatch.setattr(writing, "STILL_WRITING", share)
    chosen = writing._chosen
    monkeypatch.setattr(
        writing, "_chosen", lambda logits, *how: sizes.append(len(logits)) or chosen(logits, *how)
    )
    for (ids, shares), (whole, whole_shares) in zip(written(task, end), endless, strict=True):
        length = whole.index(end) + 1 if end in whole else len(whole)
        assert ids == whole[:length]
        assert shares == pytest.approx(whole_shares[:length], abs=1e-5)
    assert (len(set(sizes)) > 1) == (share > 0) and sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("method", ["cdvft", "lora", "fourierft", "dora", "c3a"])
def test_merged_it_writes_the_same_and_leaves_no_trace(method, answer_plan, answer_rows):
    sizes = {"c3a_block_size": 16, "dora_r": 2}
    task = adapted(answer_plan, answer_rows, method, **sizes)
    layers = [one for one in task.model.modules() if isinstance(one, BaseTunerLayer)]
    before = [layer.get_base_layer().weight.data for layer in layers]
    copies = [weight.clone() for weight in before]
    apart = written(task, end=-1)
    with writing.merged(task.model):
        assert all(layer.merged for layer in layers)
        together = written(task, end=-1)
    for (ids, shares), (other, other_shares) in zip(apart, together, strict=True):
        assert ids == other and shares == pytest.approx(other_shares, abs=1e-4)
    for layer, weight, copy in zip(layers, before, copies, strict=True):
        now = layer.get_base_layer().weight.data
        assert now.data_ptr() == weight.data_ptr() and torch.equal(now, copy) and not layer.merged


def test_what_is_not_float32_is_not_merged(answer_plan, answer_rows):
    task = adapted(answer_plan, answer_rows, precision="bfloat16")
    layers = [one for one in task.model.modules() if isinstance(one, BaseTunerLayer)]
    with writing.merged(task.model):
        assert layers and not any(layer.merged for layer in layers)


def test_the_final_evaluation_is_the_same_in_batches_of_any_size(
    answer_plan, answer_rows, tmp_path, monkeypatch
):
    plan = answer_plan("lora", max_steps=3, learning_rate=0.05)
    found = []
    for size in (2, 8):
        monkeypatch.setattr(GenerationTask, "written_batch", size)
        monkeypatch.setattr(GenerationTask, "evaluation_batch", 2)
        monkeypatch.setattr("cdvft_app.training.schedule.examples_at_once", lambda settings: 2)
        heard, _ = run(plan, answer_rows, tmp_path / str(size))
        found.append((heard.of(Evaluation)[-1], written_answers.read(tmp_path / str(size))))
    (one, answers), (other, others) = found
    assert one.metric == other.metric and one.loss == pytest.approx(other.loss, rel=1e-3), (
        "read two at a time either way, but other two: a part's loss is the mean of its own tokens"
    )
    assert answers == others and len(answers.entries) == 12
