"""Write rows.jsonl beside this file from WikiSQL (BSD-3-Clause; see LICENSE here).

    python assets/wikisql/make.py wikisql.json.bz2

`wikisql.json.bz2` is data/wikisql.json.bz2 of github.com/jkkummerfeld/text2sql-data at commit 5050bad:
WikiSQL (Zhong, Xiong and Socher 2017, arXiv 1709.00103) with its columns' names in the queries. People wrote
the questions, about tables of Wikipedia. Kept are short questions that name each value as the query does,
with one or two conditions. A prompt has the columns that WikiSQL's questions about its table use, in
alphabetical order. The splits are WikiSQL's: no table is both trained on and asked, and each table gives one
question.
"""

import bz2
import json
import random
import re
import sqlite3
import sys
from pathlib import Path
from typing import Any

COUNTS = {"train": 400, "dev": 48, "test": 96}
SPLITS = {"train": "train", "dev": "validation", "test": "test"}
QUERY = re.compile(r"SELECT (?:(MAX|MIN|COUNT|SUM|AVG) )?(.+?)_FIELD FROM TABLE AS TABLEalias0 WHERE (.+) ;")
CONDITION = re.compile(r"(.+?)_FIELD ([=<>]) \"?(var\d+)\"?")
NUMBER = re.compile(r"\d+(\.\d+)?")
COLUMNS = range(3, 6)
MAX_CHARACTERS = {"question": 72, "columns": 60}


def column(name: str) -> str:
    """The column's name as an SQL identifier."""
    return re.sub(r"[^a-z0-9]+", "_", name.removeprefix("TABLEalias0.").lower()).strip("_")


def value(written: str) -> str:
    """A value as an SQL literal."""
    return written if NUMBER.fullmatch(written) else f"'{written}'"


def read(query: str) -> tuple[str, str, list[tuple[str, str, str]]] | None:
    """Aggregate, column and conditions (column, operator, variable) of a query, or None."""
    if not (whole := QUERY.fullmatch(query)):
        return None
    conditions = [CONDITION.fullmatch(one) for one in whole[3].split(" AND ")]
    if not all(conditions):
        return None
    return whole[1] or "", column(whole[2]), [(column(one[1]), one[2], one[3]) for one in conditions if one]


def runs(columns: list[str], query: str) -> bool:
    """Whether SQLite takes the query for a table of these columns."""
    try:
        with sqlite3.connect(":memory:") as database:
            database.execute(f"CREATE TABLE t ({', '.join(columns)})")
            database.execute(query)
    except sqlite3.Error:
        return False
    return True


def row(entry: dict[str, Any], sentence: dict[str, Any], columns: list[str]) -> dict[str, str] | None:
    """Prompt and answer, or None where the question is not kept."""
    question = " ".join(sentence["original"].split())
    parsed = read(entry["sql"][0])
    listed = ", ".join(columns)
    if not parsed or not question.isascii() or "'" in question:
        return None
    if len(question) > MAX_CHARACTERS["question"] or len(listed) > MAX_CHARACTERS["columns"]:
        return None
    aggregate, selected, conditions = parsed
    placed = []
    for name, operator, variable in conditions:
        written = sentence["variables"].get(variable, "").strip()
        place = question.lower().find(written.lower())
        if not written or place < 0:
            return None
        placed.append((place, f"{name} {operator} {value(question[place : place + len(written)])}"))
    wanted = f"{aggregate}({selected})" if aggregate else selected
    where = " AND ".join(condition for _, condition in sorted(placed))
    query = f"SELECT {wanted} FROM t WHERE {where}"
    if len(placed) > 2 or not runs(columns, query):
        return None
    return {"prompt": f"t({listed}) {question}", "answer": query}


def kept(entries: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The rows with their split: of each table one question at random, tables in random order."""
    columns: dict[str, set[str]] = {}
    asked: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    for entry in entries:
        parsed = read(entry["sql"][0])
        for sentence in entry["sentences"]:
            table = sentence["table-id"]
            if parsed:
                columns.setdefault(table, set()).update((parsed[1], *(name for name, _, _ in parsed[2])))
            asked.setdefault(table, []).append((entry, sentence))
    draw = random.Random(0)
    tables = sorted(asked)
    draw.shuffle(tables)
    found: dict[str, list[dict[str, str]]] = {split: [] for split in COUNTS}
    for table in tables:
        if len(columns.get(table, ())) not in COLUMNS:
            continue
        names = sorted(columns[table])
        rows = [(one[1]["question-split"], row(*one, names)) for one in asked[table]]
        usable = [(split, one) for split, one in rows if one]
        if usable:
            split, chosen = draw.choice(usable)
            found[split].append({"split": SPLITS[split], "table": table, **chosen})
    return [one for split, count in COUNTS.items() for one in found[split][:count]]


if __name__ == "__main__":
    entries = json.loads(bz2.decompress(Path(sys.argv[1]).read_bytes()))
    lines = [json.dumps(one) for one in kept(entries)]
    (Path(__file__).parent / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
