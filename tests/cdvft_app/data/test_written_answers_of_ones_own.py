"""Prompts and answers of one's own: guessed, mapped, split, counted, and read by a run."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from given_tables import looked, table_of

from cdvft_app.catalog import resolve
from cdvft_app.catalog.conversations import messages_of
from cdvft_app.catalog.dataset_readers import read_uploaded
from cdvft_app.data.inspect import as_dict
from cdvft_app.data.library import read_roles
from cdvft_app.data.source import DataRefused
from cdvft_app.settings import RunSettings


def test_the_columns_can_be_said_and_classes_can_be_written(tmp_path):
    path = table_of(tmp_path, "a,b,kind", [(f"x{n}", f"y{n}", f"k{n % 3}") for n in range(40)])
    found = looked(path, **read_roles([], None, ["b"], "kind"))
    assert (found.data.inputs, found.data.label, found.data.labels) == (("b",), "kind", ())
    plan = resolve(RunSettings(recipe="addresses", method="lora", data=found.data))
    assert plan.dataset.metric == "exact_match"
    with pytest.raises(DataRefused, match="text and label, or prompt and answer"):
        read_roles(["a"], None, [], "kind")


def test_short_answers_are_right_or_wrong_and_long_ones_alike(tmp_path):
    short = looked(table_of(tmp_path, "prompt,answer", [(f"p{n}", f"a{n}") for n in range(40)])).data
    long = looked(table_of(tmp_path, "prompt,answer", [(f"p{n}", f"a{n} " * 30) for n in range(40)])).data
    assert (short.metric, long.metric) == ("exact_match", "chrf")


def test_a_prompt_has_its_parts_below_each_other_and_nothing_is_on_both_sides(tmp_path):
    rows = [(f"Do {n // 2}.", "" if n % 4 else "With this.", f"done {n}") for n in range(80)]
    found = looked(table_of(tmp_path, "instruction,input,output", [*rows, ("", "", "x"), ("Do 9.", "", "")]))
    assert found.faults == (
        "“rows”, row 82, column “instruction”: it is empty. Give it a value, or drop the row.",
        "“rows”, row 83, column “output”: it is empty. Give it a value, or drop the row.",
    )
    pools = read_uploaded(found.data)
    sides = [set(pool.select(np.arange(len(pool.labels)))) for pool in (pools.train, pools.evaluation)]
    assert not sides[0] & sides[1]
    assert {"Do 0.\n\nWith this.", "Do 0."} <= sides[0] | sides[1]
    place = int(np.flatnonzero(pools.train.labels == pools.train.labels[0])[0])
    answer = str(pools.train.labels[place])
    assert pools.train.select(np.array([place]))[0].startswith(f"Do {int(answer.split()[1]) // 2}.")


def conversation(place, *, answered=True):
    turns = [("system", "Be short."), ("user", "Hello"), ("assistant", "Hi"), ("user", f"What is {place}?")]
    turns = [*turns, ("assistant", f"It is {place}.")] if answered else turns[:2]
    return [{"role": role, "content": content} for role, content in turns]


def test_conversations_give_their_last_answer_and_all_that_was_said_before_it(tmp_path):
    talks = [conversation(place, answered=place != 3) for place in range(20)]
    lines, table = tmp_path / "talks.jsonl", tmp_path / "talks.parquet"
    lines.write_text("\n".join(json.dumps({"messages": talk}) for talk in [*talks, "no conversation"]))
    pq.write_table(pa.table({"messages": talks, "id": list(range(20))}), table)
    for path, rows in ((lines, ["row 4", "row 21"]), (table, ["row 4"])):
        found = looked(path)
        assert found.roles.inputs == ("prompt",) and found.roles.label == "answer"
        pools = read_uploaded(found.data)
        assert len(pools.train.labels) + len(pools.evaluation.labels) == 19
        asked = pools.train.select(np.arange(2))
        for prompt, answer in zip(asked, pools.train.labels[:2], strict=True):
            said = messages_of(prompt)
            assert [one["role"] for one in said] == ["system", "user", "assistant", "user"]
            assert (said[0]["content"], said[-1]["content"]) == ("Be short.", f"What is {answer[6:-1]}?")
        for row, fault in zip(rows, found.faults, strict=True):
            assert row in fault and "messages" in fault
        assert "the last answer is learned" in found.notes[0]


def test_what_is_longer_than_a_model_reads_is_counted(tmp_path):
    rows = [(f"p{n}", f"{n} word " * (350 if n < 4 else 5)) for n in range(40)]
    found = looked(table_of(tmp_path, "prompt,answer", rows))
    assert as_dict(found)["max_length"] == 512 and 0 < as_dict(found)["cut"] < 0.2
    assert any("more than 512 tokens" in one and "are skipped" in one for one in found.warnings)
