"""The task of writing answers, on tiny random causal models."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models
import torch
from listening import run

from cdvft_app.catalog.dataset_readers import Rows, Split
from cdvft_app.events import Evaluation, Note
from cdvft_app.progress import never, silent
from cdvft_app.tasks.prepare import prepare


def rows(*pairs: tuple[str, str]) -> Rows:
    prompts, answers = zip(*pairs, strict=True)
    split = Split(list(prompts), np.array(answers, dtype=object))
    return Rows(split, split, (), None)


PAIRS = rows(("go 7", "n: 7"), ("go go go 12", "n: 12\nkind: even"))


@pytest.fixture(scope="module")
def task(answer_plan):
    return prepare(answer_plan(), silent, never, PAIRS).task


@pytest.fixture(scope="module")
def learned(answer_plan, answer_rows, tmp_path_factory):
    """A run that trains every number of the model, until it knows the task."""
    plan = answer_plan("full", epochs=12.0, learning_rate=5e-3)
    return run(plan, answer_rows, tmp_path_factory.mktemp("learned"))


def test_labels_cover_the_answer_and_its_end(task):
    examples = task.examples(PAIRS.train.inputs, PAIRS.train.labels)
    batch = task.collate([examples[0], examples[1]])
    learned = [[token for token in row if token != -100] for row in batch["labels"].tolist()]
    assert [task.tokenizer.decode(row) for row in learned] == ["n: 7<|end|>", "n: 12\nkind: even<|end|>"]
    # The end's own id is 0, as padding's.
    whole = [task.tokenizer.decode(row[row != 0][-20:]) for row in batch["input_ids"]]
    assert whole[0].endswith("n: 7") and whole[1].endswith("kind: even")
    assert batch["attention_mask"].sum(1).tolist() == task.lengths(examples)
    read = task.tokenizer.decode(batch["input_ids"][1])
    assert read == "<|start|>s Say it.<|end|><|start|>u go go go 12<|end|><|start|>a n: 12\nkind: even<|end|>"


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_padded_batch_equals_single_rows(kind, answer_plan, tmp_path):
    plan = answer_plan(folder=tiny_models.causal(tmp_path, kind, template=kind != "gpt2"))
    task = prepare(plan, silent, never, PAIRS).task
    model = task.model.eval()
    examples = task.examples(PAIRS.train.inputs, PAIRS.train.labels)
    batch = task.collate([examples[0], examples[1]])
    labels = batch.pop("labels")
    lost, kept = [], []
    with torch.no_grad():
        together = task.loss(model(**batch), labels)
        for example in examples:
            ids = torch.tensor([example["input_ids"] + example["labels"]])
            answer = torch.tensor(example["labels"])
            said = model(input_ids=ids).logits[0, -len(answer) - 1 : -1]
            lost.append(torch.nn.functional.cross_entropy(said, answer, reduction="sum"))
            kept.append(said.argmax(-1).tolist())
        told = task.preprocess_logits_for_metrics(model(**batch), labels).tolist()
    torch.testing.assert_close(together, sum(lost) / sum(len(one["labels"]) for one in examples))
    assert [[token for token in row if token != -100] for row in told] == kept
    prompts = task.examples(PAIRS.train.inputs)
    written = task.write(task.collate([prompts[0], prompts[1]]))
    for row, prompt in zip(written.tolist(), prompts, strict=True):
        ids = torch.tensor([prompt["input_ids"]])
        alone = model.generate(ids, max_new_tokens=len(row), do_sample=False, pad_token_id=0)
        assert row == alone[0, ids.shape[1] :].tolist() + [0] * (len(row) - alone.shape[1] + ids.shape[1])


def test_generation_learns_fields_and_the_end(learned):
    heard, done = learned
    assert (done.metric_name, done.metric) == ("exact_match", 1.0)
    curve = [evaluation.metric for evaluation in heard.of(Evaluation)]
    assert curve[0] < 1.0 and len(curve) == 5
    said = "The answers that were written at the end: field F1 1.000. Perplexity of"
    assert any(note.text.startswith(said) for note in heard.of(Note))
