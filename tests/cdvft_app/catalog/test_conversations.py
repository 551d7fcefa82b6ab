"""Prompts and answers out of every layout that data for language models comes in."""

from __future__ import annotations

import dataclasses
import json

import pytest

from cdvft_app import catalog
from cdvft_app.catalog.conversations import reader
from cdvft_app.catalog.rows import load_rows

CHAT = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": " Two plus two? "},
        {"role": "assistant", "content": "Four."},
    ]
}


@pytest.mark.parametrize(
    ("row", "pair"),
    [
        ({"instruction": "Add.", "input": "2, 2", "output": "4"}, ("Add.\n\n2, 2", "4")),
        ({"instruction": "Say hi.", "input": "", "output": "hi", "text": "all"}, ("Say hi.", "hi")),
        ({"instruction": "Say hi.", "input": None, "output": "hi"}, ("Say hi.", "hi")),
        ({"query": "2 + 2?", "response": "4", "type": "x"}, ("2 + 2?", "4")),
        ({"prompt": "a", "completion": "b"}, ("a", "b")),
        ({"question": "a", "answer": "b"}, ("a", "b")),
        (CHAT, ("Two plus two?", "Four.")),
    ],
)
def test_a_prompt_and_its_answer_are_found(row, pair) -> None:
    assert reader(list(row))(row) == pair


def test_columns_that_somebody_named_count() -> None:
    row = {"question": "a", "answer": "b", "ask": "c", "tell": "d"}
    assert reader(list(row), ("ask", "tell"))(row) == ("c", "d")


def test_what_has_no_answer_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="are text, label; prompts and answers must be in messages"):
        reader(["text", "label"])
    alone = {"messages": [{"role": "user", "content": "Hi?"}]}
    with pytest.raises(ValueError, match="has the roles user; it must end with user and assistant"):
        reader(["messages"])(alone)


@pytest.mark.parametrize("row", [{"instruction": "Add 1 to", "input": "{}", "output": "it is {}"}, CHAT])
def test_a_file_of_such_rows_is_data_to_learn_from(row, tmp_path) -> None:
    rows = [json.loads(json.dumps(row).replace("{}", str(place))) for place in range(10)]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    typed = catalog.get_dataset("somebody/something", "generation")
    entry = dataclasses.replace(typed, source="local", location=str(tmp_path))
    found = load_rows(entry, train_examples=8, evaluation_examples=2, seed=0)
    assert (len(found.train), len(found.evaluation), found.labels) == (8, 2, ())
    read = reader(list(row))
    known = {read(one) for one in rows}
    for split in (found.train, found.evaluation):
        assert set(zip(split.inputs, split.labels, strict=True)) <= known
    assert typed.metric == "chrf"
