"""Conversations of every layout that data for language models comes in, as a prompt and its answer."""

from __future__ import annotations

import dataclasses
import json

import pytest

from cdvft_app import catalog
from cdvft_app.catalog.conversations import messages_of, prompt_in, prompt_of, split_conversation, transcript
from cdvft_app.catalog.dataset_readers import load_rows
from cdvft_app.catalog.download import DownloadFailed

TURNS = [("system", "Be brief."), ("user", "Hi?"), ("assistant", "Yes."), ("user", " Two plus two? "),
         ("assistant", "Four.")]  # fmt: skip
OPENAI = [{"role": role, "content": text} for role, text in TURNS]
SHAREGPT = [
    {"from": {"user": "human", "assistant": "gpt"}.get(role, role), "value": text} for role, text in TURNS
]
BEFORE = [{"role": role, "content": text.strip()} for role, text in TURNS[:-1]]


@pytest.mark.parametrize("talk", [OPENAI, SHAREGPT, json.dumps(OPENAI), json.dumps(SHAREGPT)])
def test_the_last_answer_is_learned_with_all_that_was_said_before_it(talk) -> None:
    prompt, answer = split_conversation(talk)
    assert answer == "Four."
    assert messages_of(prompt) == BEFORE


def test_what_follows_the_last_answer_is_left_out() -> None:
    assert split_conversation([*OPENAI, {"role": "user", "content": "Thanks"}]) == split_conversation(OPENAI)


@pytest.mark.parametrize("text", ["Two plus two?", '["a list"]', '{"role": "user", "content": "x"}', ""])
def test_a_prompt_of_one_message_is_its_text(text) -> None:
    assert prompt_of([{"role": "user", "content": text}]) == text
    assert messages_of(text) == [{"role": "user", "content": text}]


def test_a_text_that_looks_like_a_conversation_can_be_said_within_one() -> None:
    said = [{"role": "user", "content": json.dumps(OPENAI)}]
    assert messages_of(prompt_of(said)) == said


def test_a_person_reads_turns_and_writes_them_so() -> None:
    prompt, _ = split_conversation(OPENAI)
    read = "System: Be brief.\n\nUser: Hi?\n\nAssistant: Yes.\n\nUser: Two plus two?"
    assert transcript(prompt) == read
    assert messages_of(prompt_in(f" {read}\n")) == BEFORE


@pytest.mark.parametrize(
    "text",
    ["Two plus two?", "", '["a list"]', "User: Hi?", "User: Hi?\nAssistant: Yes.\nUser: Why?",
     "User: \n\nUser: a", "Note.\n\nSystem: a\n\nUser: b",
     "User: Hi?\n\nAssistant: ", "System: a\n\nAssistant: b"],
)  # fmt: skip
def test_other_texts_are_prompts_as_they_stand(text) -> None:
    assert transcript(text) == text == prompt_in(text)


@pytest.mark.parametrize(
    ("talk", "why"),
    [
        ([{"role": "user", "content": "Hi?"}], "no answer of the assistant to a message of the user"),
        ([{"role": "assistant", "content": "Hi"}], "no answer of the assistant"),
        ([{"role": "user", "content": "Hi?"}, {"role": "tool", "content": "{}"}], "a message of 'tool'"),
        ("Hi?", "no list of messages"),
        ([], "no list of messages"),
        ([{"text": "Hi?"}], "no list of messages"),
    ],
)
def test_what_has_no_answer_is_a_sentence(talk, why) -> None:
    with pytest.raises(ValueError, match=why):
        split_conversation(talk)


SAID = [{"from": "human", "value": "a {}"}, {"from": "gpt", "value": "{}"}]
ROWS = {
    "alpaca": ({"instruction": "Add 1 to", "input": "{}", "output": "it is {}"}, "Add 1 to\n\n3", "it is 3"),
    "without an input": ({"instruction": "Say {}.", "input": None, "output": "say {}"}, "Say 3.", "say 3"),
    "query": ({"query": "{} + 2?", "response": "sum {}", "type": "x"}, "3 + 2?", "sum 3"),
    "prompt": ({"prompt": "a {}", "completion": "b {}"}, "a 3", "b 3"),
    "question": ({"question": "a {}", "answer": "b {}"}, "a 3", "b 3"),
    "messages": ({"messages": [*BEFORE, {"role": "assistant", "content": "{}"}]}, prompt_of(BEFORE), "3"),
    "sharegpt": ({"conversations": SAID}, "a 3", "3"),
}


def dataset(tmp_path, row, count=10):
    rows = [json.loads(json.dumps(row).replace("{}", str(place))) for place in range(count)]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    by_hub_id = catalog.get_dataset("somebody/something", "generation")
    return dataclasses.replace(by_hub_id, source="local", location=str(tmp_path))


@pytest.mark.parametrize(("row", "prompt", "answer"), ROWS.values(), ids=ROWS)
def test_a_dataset_of_the_hub_in_each_layout_is_data_to_learn_from(row, prompt, answer, tmp_path) -> None:
    entry = dataset(tmp_path, row)
    found = load_rows(entry, train_examples=8, evaluation_examples=2, seed=0)
    assert (len(found.train), len(found.evaluation), found.labels) == (8, 2, ())
    splits = (found.train, found.evaluation)
    pairs = [pair for split in splits for pair in zip(split.inputs, split.labels, strict=True)]
    assert (prompt, answer) in pairs
    assert entry.metric == "chrf"


def test_columns_that_an_entry_names_count(tmp_path) -> None:
    entry = dataset(tmp_path, {"question": "a {}", "answer": "b {}", "ask": "c {}", "tell": "d {}"})
    entry = dataclasses.replace(entry, text_columns=("ask",), label_column="tell")
    found = load_rows(entry, train_examples=8, evaluation_examples=2, seed=0)
    assert {input[0] for input in found.train.inputs} == {"c"}
    assert {answer[0] for answer in found.train.labels} == {"d"}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"text": "a {}", "label": "b"}, "text, label; prompts and answers must be in messages"),
        ({"prompt": "a {}", "chosen": "b {}", "rejected": "c {}"}, "It holds preference pairs"),
        ({"messages": [{"role": "user", "content": "a {}"}]}, "a conversation in column messages: it has no"),
    ],
)
def test_a_dataset_without_prompts_and_answers_is_refused(row, why, tmp_path) -> None:
    with pytest.raises(DownloadFailed, match=why):
        load_rows(dataset(tmp_path, row), train_examples=8, evaluation_examples=2, seed=0)
