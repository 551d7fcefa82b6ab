"""The task of writing answers, on tiny random causal models."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny_models
import torch
from listening import run

from cdvft_app.catalog.conversations import prompt_of
from cdvft_app.catalog.dataset_readers import Rows, Split
from cdvft_app.catalog.download import DownloadFailed
from cdvft_app.events import Answers, Evaluation, Note, TrainingFailed
from cdvft_app.progress import never, silent
from cdvft_app.tasks import generation
from cdvft_app.tasks.base import InvalidInput
from cdvft_app.tasks.prepare import prepare
from cdvft_app.tasks.writing import Pieces, Sampling


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


def test_only_the_answer_and_its_end_are_learned(task):
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


def test_a_system_prompt_and_earlier_turns_are_learned_with(task):
    talk = [
        {"role": "system", "content": "In one word."},
        {"role": "user", "content": "Go?"},
        {"role": "assistant", "content": "Yes"},
        {"role": "user", "content": "How far?"},
    ]
    prompts = [prompt_of(talk), prompt_of(talk[1:]), prompt_of(talk[3:])]
    examples = task.examples(prompts, ["n: 7"] * 3)
    assert task.tokenizer.decode(examples[0]["input_ids"]) == (
        "<|start|>s Say it.<|end|><|start|>s In one word.<|end|><|start|>u Go?<|end|><|start|>a Yes<|end|>"
        "<|start|>u How far?<|end|><|start|>a "
    )
    losses = set()
    for place in range(3):
        batch = task.collate([examples[place]])
        labels = batch.pop("labels")
        with torch.no_grad():
            losses.add(round(task.loss(task.forward(task.model.eval(), batch, labels), labels).item(), 5))
    assert len(losses) == 3


def test_a_conversation_that_the_chat_template_refuses_is_a_sentence(answer_plan):
    task = prepare(answer_plan(), silent, never, PAIRS).task
    task.tokenizer.chat_template = "{{ raise_exception('No system role') }}"
    with pytest.raises(InvalidInput, match="does not take this conversation"):
        task.examples(["go"])


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
def test_a_padded_batch_loses_what_its_rows_lose_alone_and_writes_what_they_write(
    kind, answer_plan, tmp_path
):
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


def test_a_run_learns_to_write_the_fields_and_to_stop(learned):
    heard, done = learned
    assert (done.metric_name, done.metric) == ("exact_match", 1.0)
    curve = [evaluation.metric for evaluation in heard.of(Evaluation)]
    assert curve[0] < 1.0 and len(curve) == 5
    said = "The answers that were written at the end: field F1 1.000. Perplexity of"
    assert any(note.text.startswith(said) for note in heard.of(Note))


def test_the_same_prompts_are_answered_at_six_snapshots_and_the_answers_change(learned, answer_rows):
    heard, _ = learned
    watched = heard.of(Answers)
    assert [one.step for one in watched] == [0, *(evaluation.step for evaluation in heard.of(Evaluation))]
    assert {one.prompts for one in watched} == {tuple(answer_rows.evaluation.inputs[:4])}
    right = tuple(answer_rows.evaluation.labels[:4])
    assert watched[0].answers != right
    assert watched[-1].answers == right
    assert {one.right for one in watched} == {right}
    assert any(watched[0].wrong) and not any(watched[-1].wrong)


def test_answers_are_kept_with_the_probability_of_each_piece(learned):
    heard, _ = learned
    first, last = heard.of(Answers)[0], heard.of(Answers)[-1]
    for one in (first, last):
        for text, pieces in zip(one.answers, one.tokens, strict=True):
            whole = text.rstrip("…\N{REPLACEMENT CHARACTER}")  # what it was cut off in is no piece
            assert "".join(piece for piece, _ in pieces).rstrip("\N{REPLACEMENT CHARACTER}") == whole
            assert all(0 <= share <= 1 for _, share in pieces)
    sure = [np.mean([share for pieces in one.tokens for _, share in pieces]) for one in (first, last)]
    assert sure[1] > 0.7 > sure[0], "what was learned is said with confidence"


def test_a_visitor_s_own_prompt_is_answered_with_the_others(answer_plan, answer_rows, tmp_path):
    plan = answer_plan("full", max_steps=2, own_prompt="  go go 2 ")
    assert plan.settings.own_prompt == "go go 2"
    heard, _ = run(plan, answer_rows, tmp_path)
    watched = heard.of(Answers)
    assert len(watched) == 3
    for one in watched:
        assert (one.prompts[-1], one.right[-1], one.wrong[-1], one.own) == ("go go 2", None, (), True)
        assert len(one.answers) == len(one.tokens) == 5


def test_a_prompt_of_one_s_own_that_is_too_long_is_refused(answer_plan, answer_rows, tmp_path):
    with pytest.raises(TrainingFailed, match=r"prompt of your own cannot be answered\. This text has \d+"):
        run(answer_plan(own_prompt="word " * 40), answer_rows, tmp_path)


def test_a_character_of_several_tokens_is_one_piece(task):
    pieces = Pieces(task._decode)
    ids = task.tokenizer("é!", add_special_tokens=False).input_ids
    assert len(ids) == 3
    assert [pieces.add(one, 0.5) for one in ids] == [None, ("é", 0.25), ("!", 0.5)]


def test_drawn_answers_follow_the_seed_and_the_temperature(task):
    batch = task.collate(task.examples(["go go 2"]))

    def written(**how):
        return [int(token) for token, _ in task._tokens(batch, 12, sampling=Sampling(**how))]

    assert written(temperature=1.0, seed=1) == written(temperature=1.0, seed=1)
    assert written(temperature=1.0, seed=1) != written(temperature=1.0, seed=2)
    assert written(temperature=1e-4, seed=1) == written(), "next to 0 the most probable is drawn"


def test_adapters_start_alike_and_say_which_model_they_are_for(answer_plan, answer_rows, tmp_path):
    first = {}
    for method in ("cdvft", "lora", "fourierft"):
        heard, done = run(answer_plan(method, max_steps=2), answer_rows, tmp_path / method)
        first[method] = heard.losses()[1]
        assert heard.of(Evaluation)[-1].metric_name == "exact_match"
        assert '"CAUSAL_LM"' in (done.adapter_folder / "adapter_config.json").read_text()
    assert max(first.values()) - min(first.values()) < 1e-5


def test_rows_that_are_too_long_are_left_out_and_counted(answer_plan):
    given = rows(("go 1", "n: 1"), ("a" * 90, "n: 1"), ("b 2", "n: 2"))
    prepared = prepare(answer_plan(), silent, never, given)
    assert len(prepared.train) == len(prepared.evaluation) == 2
    assert sorted(prepared.evaluation_rows) == [0, 2] and prepared.watched.prompts == ("go 1", "b 2")
    assert prepared.task.notes[-2:] == tuple(
        f"1 of 3 rows to {purpose} are longer than the run takes and left out; raise the length to take them."
        for purpose in ("train on", "evaluate on")
    )


def test_nothing_is_loaded_of_what_cannot_be_trained(answer_plan, bert_folder, tmp_path, monkeypatch):
    def load(*given, **more):
        raise AssertionError("weights were read")

    monkeypatch.setattr(generation, "load_language_model", load)
    folder = tiny_models.causal(tmp_path)
    for plan, pairs, sentence in (
        (answer_plan(folder=bert_folder), PAIRS, "^SmolLM2.* is a BertModel, which does not write text"),
        (answer_plan(folder=folder), rows(("a" * 90, "n: 1")), "Row 1 with its answer has 1"),
        (answer_plan(folder=folder), rows(("a", "n: 1"), ("b", " ")), "Row 2 has an empty answer"),
        (answer_plan(folder=folder), rows(("a" * 90, "n: 1"), ("b", " ")), "Row 2 has an empty answer"),
        (answer_plan(folder=folder, own_prompt="word " * 40), PAIRS, "prompt of your own cannot be answered"),
        (answer_plan(folder=folder, max_length=300), PAIRS, "max_length: got 300; .* at most 256"),
    ):
        with pytest.raises((InvalidInput, DownloadFailed), match=sentence):
            prepare(plan, silent, never, pairs)
    file = folder / "tokenizer_config.json"
    kept = json.loads(file.read_text())
    del kept["eos_token"]
    file.write_text(json.dumps(kept))
    with pytest.raises(DownloadFailed, match="has no token that ends a text, so it cannot learn to stop"):
        prepare(answer_plan(folder=folder), silent, never, PAIRS)


def test_a_tokenizer_without_template_and_padding_is_told_of(answer_plan, tmp_path):
    plan = answer_plan(folder=tiny_models.causal(tmp_path, template=False))
    task = prepare(plan, silent, never, PAIRS).task
    assert [note.partition(":")[0] for note in task.notes] == [
        "The model has no chat template",
        "The model has no token for padding; <|end|> stands in, and is learned where it ends an answer.",
    ]
    (prompt,) = task.examples(["go 7"])
    assert task.tokenizer.decode(prompt["input_ids"]) == "Say it.\n\ngo 7\n\nAnswer:\n"
