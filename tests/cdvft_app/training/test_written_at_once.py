"""What makes writing fast changes no answer: ended rows are left out, updates stand in the weights."""

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from cdvft_app.progress import never, silent
from cdvft_app.tasks import writing
from cdvft_app.tasks.generation import MixedPrecision, merged
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


def batch_of(task):
    examples = task.examples(PROMPTS)
    return task.collate([examples[place] for place in range(len(PROMPTS))])


def written(task, end, most=24):
    """Each row's tokens up to the end, and the probabilities of these."""
    steps = list(writing.tokens(task.model, batch_of(task), eos_token_id=end, max_new_tokens=most))
    found = []
    for row in zip(*(zip(*step, strict=True) for step in steps), strict=True):
        ids = [int(token) for token, _ in row]
        length = ids.index(end) + 1 if end in ids else len(ids)
        found.append((ids[:length], [float(share) for _, share in row[:length]]))
    return found


@pytest.mark.parametrize("method", ["cdvft", "lora"])
def test_merged_writing_restores_the_weights(method, answer_plan, answer_rows):
    sizes = {"c3a_block_size": 16, "dora_r": 2}
    task = adapted(answer_plan, answer_rows, method, **sizes)
    layers = [one for one in task.model.modules() if isinstance(one, BaseTunerLayer)]
    before = [layer.get_base_layer().weight.data for layer in layers]
    copies = [weight.clone() for weight in before]
    apart = written(task, end=-1)
    with merged(task.model, MixedPrecision()):
        assert all(layer.merged for layer in layers)
        together = written(task, end=-1)
    for (ids, shares), (other, other_shares) in zip(apart, together, strict=True):
        assert ids == other and shares == pytest.approx(other_shares, abs=1e-4)
    for layer, weight, copy in zip(layers, before, copies, strict=True):
        now = layer.get_base_layer().weight.data
        assert now.data_ptr() == weight.data_ptr() and torch.equal(now, copy) and not layer.merged
