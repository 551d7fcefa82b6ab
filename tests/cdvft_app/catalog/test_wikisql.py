"""The vendored questions of WikiSQL: what is asked, what is right, and that both sides share no table."""

from __future__ import annotations

import dataclasses
import json
import re
import sqlite3
from collections import Counter

from cdvft_app import ASSETS, catalog
from cdvft_app.catalog.dataset_readers import load_rows
from cdvft_app.metrics import measure_texts
from cdvft_app.metrics.exact_match import wrong_parts

WIKISQL = catalog.get_dataset("wikisql")
QUERY = re.compile(r"SELECT (?:(?:MAX|MIN|COUNT|SUM|AVG)\(\w+\)|\w+) FROM t WHERE (.+)")
CONDITION = re.compile(r"(\w+) [=<>] (?:'([^']+)'|([\d.]+))")


def test_each_answer_is_a_query_that_the_question_says_and_sqlite_takes() -> None:
    rows = load_rows(WIKISQL, train_examples=500, evaluation_examples=500, seed=3)
    assert (len(rows.train), len(rows.evaluation)) == (400, 96)
    for split in (rows.train, rows.evaluation):
        for prompt, answer in zip(split.inputs, split.labels, strict=True):
            table, columns, question = re.fullmatch(r"(t\((.+?)\)) (.+)", prompt).groups()  # type: ignore[union-attr]
            conditions = [
                CONDITION.fullmatch(one)
                for one in QUERY.fullmatch(answer)[1].split(" AND ")  # type: ignore[index]
            ]
            assert len(conditions) in (1, 2)
            for name, text, number in (one.groups() for one in conditions if one):
                assert name in columns.split(", ")
                assert (text or number) in question  # nothing is to be guessed
            with sqlite3.connect(":memory:") as database:
                database.execute(f"CREATE TABLE {table}")
                assert database.execute(answer).fetchall() in ([], [(0,)], [(None,)])


def test_each_table_is_asked_about_once_on_one_side() -> None:
    rows = [json.loads(line) for line in (ASSETS / "wikisql" / "rows.jsonl").read_text().splitlines()]
    assert Counter(row["split"] for row in rows) == {"train": 400, "validation": 48, "test": 96}
    assert len({row["table"] for row in rows}) == len(rows)


def test_a_query_is_right_in_whole_or_wrong() -> None:
    right = "SELECT title FROM t WHERE pages > 300"
    near = "SELECT title FROM t WHERE pages < 300"
    assert measure_texts([right, near], [right, right], WIKISQL) == {"exact_match": 0.5}
    assert wrong_parts(right, right, WIKISQL) == ()
    assert wrong_parts(near, right, WIKISQL) == ("",)  # all of it is marked
    assert wrong_parts(near, right, dataclasses.replace(WIKISQL, metric="chrf")) == ()  # more or less alike
    fields = dataclasses.replace(WIKISQL, fields=("city", "zip"))
    assert wrong_parts("city: Rome\nzip: 1", "city: Rome\nzip: 2", fields) == ("zip",)
