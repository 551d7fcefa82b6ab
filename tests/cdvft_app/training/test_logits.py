"""The output layer's weight is read once for all rows, not copied for each."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cdvft_app.progress import never, silent
from cdvft_app.tasks.prepare import prepare

PROMPTS = ["go 1", "go go go 1 2 3", "go go 2"]


class Shapes(TorchDispatchMode):
    """The shapes of all tensors that operators are given or give, with the operators' names."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        found = operator(*args, **(kwargs or {}))
        tensors = [one for one in (*args, found) if isinstance(one, torch.Tensor)]
        self.seen |= {(str(operator), tuple(one.shape)) for one in tensors}
        return found


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
@pytest.mark.parametrize("reads", ["answers", "prompts"])
def test_output_weight_is_not_copied_per_row(reads, dtype, answer_plan, answer_rows):
    task = prepare(answer_plan(), silent, never, answer_rows).task
    task.train_in(dtype)
    output = task.model.get_output_embeddings()
    for_each_row = (len(PROMPTS), output.in_features, output.out_features)
    batch = task.collate(task.examples(PROMPTS, ["n: 1", "n: 3", "n: 2"]))
    task.model.eval()
    with torch.no_grad(), Shapes() as shapes, torch.autocast("cpu", dtype, enabled=dtype is not None):
        if reads == "prompts":
            task.write(batch, max_new_tokens=2)
        else:
            task.forward(task.model, batch, batch.pop("labels"))
    assert any(shape[-1:] == (output.out_features,) for _, shape in shapes.seen), "there were logits"
    assert not [one for one in shapes.seen if one[1] == for_each_row]
