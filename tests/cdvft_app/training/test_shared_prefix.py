"""What all prompts begin with is read once: loss and gradients are those of reading every row whole."""

from __future__ import annotations

import pytest
import tiny_models
import torch

from cdvft_app.progress import never, silent
from cdvft_app.tasks import shared_prefix
from cdvft_app.tasks.prepare import prepare
from cdvft_app.training import trainable

BEGIN = "<|start|>s Say it.<|end|><|start|>u "  # a token a letter, and one each for what is in <| |>


def batch_of(task, rows):
    examples = task.examples(rows.train.inputs[:5], rows.train.labels[:5])
    return task.collate([examples[place] for place in range(5)])


def gradients(task, model, batch):
    labels = batch["labels"]
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    model.zero_grad()
    logits = task.answer_logits(task.forward(model, inputs, labels), labels)
    learned = labels != -100
    loss = torch.nn.functional.cross_entropy(logits[learned], labels[learned])  # the task's, but in float64
    loss.backward()
    named = {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
    return loss.detach(), named


@pytest.fixture
def plan(answer_plan, tmp_path):
    """`plan(kind, method)`: on a tiny model of that architecture."""

    def make(kind, method, **more):
        return answer_plan(method, folder=tiny_models.causal(tmp_path, kind), **more)

    return make


@pytest.mark.parametrize(
    "case",
    [("llama", "cdvft"), ("llama", "full"), ("qwen2", "lora"), ("gpt2", "full"), ("llama", "fourierft")],
)
def test_shared_prefix_equals_whole_rows_with_gradients(case, plan, answer_rows, monkeypatch):
    plan = plan(*case)
    task = prepare(plan, silent, never, answer_rows).task
    model = trainable.build(plan.settings, task.model, task.head)
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.double().eval()  # without GPT-2's dropout
    read = []
    forward = shared_prefix.forward
    monkeypatch.setattr(shared_prefix, "forward", lambda *given: read.append(given[-1]) or forward(*given))
    shared, by_shared = gradients(task, model, batch_of(task, answer_rows))
    monkeypatch.setattr(shared_prefix, "common_prefix", lambda *given: 0)
    whole, by_whole = gradients(task, model, batch_of(task, answer_rows))
    letters = zip(*answer_rows.train.inputs[:5], strict=False)  # each a token
    alike = next(place for place, here in enumerate(letters) if len(set(here)) > 1)
    assert alike > 3 and read == [len(task.tokenizer(BEGIN).input_ids) + alike]
    near = 1e-12 if case[0] == "gpt2" else 1e-5  # norms and rotations of the others are float32's
    torch.testing.assert_close(shared, whole, rtol=near, atol=0)
    assert by_shared.keys() == by_whole.keys() and by_whole
    for name, gradient in by_whole.items():
        largest = float(gradient.abs().max())
        torch.testing.assert_close(by_shared[name], gradient, rtol=0, atol=near * max(largest, 1e-3))
