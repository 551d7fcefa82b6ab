"""What the columns of kept data hold, and which of them are most likely text and label."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cdvft_app.catalog.uploaded_rows import IMAGE, ROW, table
from cdvft_app.data.imported_table import READERS, ImportedTable
from cdvft_app.data.pictures import FORMATS
from cdvft_app.data.source import Progress
from cdvft_app.public import intake

if TYPE_CHECKING:
    import duckdb

EXACT_ROWS = 200_000  # beyond them different values are counted approximately
TEXT_NAMES = (
    "text", "sentence", "review", "content", "comment", "message", "body", "tweet", "question", "title",
    "headline", "document", "description", "utterance", "query", "input",
)  # fmt: skip
PAIRS = (
    ("sentence1", "sentence2"), ("premise", "hypothesis"), ("question", "sentence"),
    ("question1", "question2"), ("text1", "text2"), ("text_a", "text_b"), ("query", "passage"),
)  # fmt: skip
LABEL_NAMES = (
    "label", "labels", "class", "category", "target", "sentiment", "stars", "rating", "score", "intent",
    "topic", "emotion", "fine_label", "coarse_label", "gold", "y",
)  # fmt: skip
INSTRUCTIONS = ("instruction", "prompt")  # beside an answer in many ways of writing they say what it is for
PROMPTS = (*INSTRUCTIONS, "question", "query", "input", "source")
MORE_OF_PROMPT = ("input", "context")
ANSWERS = ("output", "completion", "response", "answer", "answers", "target")
SPLITS = ("split", "set", "fold", "subset")
MAX_CLASSES = 1000
USUAL_CLASSES = 50  # a column that nobody named a label is one with at most so many values


@dataclass(frozen=True)
class Column:
    """`type` in plain words; `distinct` counts different values; `mean_characters` is of those there."""

    name: str
    type: str
    missing: int
    distinct: int
    mean_characters: float


@dataclass(frozen=True)
class Roles:
    """Which columns are the inputs, the label, and the split; None and empty where none was found.

    Of data that `is_generative` they are the prompt, or its parts, and the answer.
    """

    inputs: tuple[str, ...]
    label: str | None
    split: str | None
    is_generative: bool = False


def connect(**tables: Any) -> duckdb.DuckDBPyConnection:
    """A database of these Arrow tables alone; it reads no file."""
    import duckdb

    connection = duckdb.connect(config={"threads": 1, "memory_limit": "1GB"})
    for name, rows in tables.items():
        connection.register(name, rows)
    connection.execute("SET enable_external_access = false")
    return connection


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def columns_of(kept: ImportedTable) -> tuple[Column, ...]:
    """Types, missing and different values of each column."""
    return _columns_of(kept.sha256, kept.columns, IMAGE if kept.kind == "image" else None, kept.rows)


@lru_cache(maxsize=32)
def _columns_of(sha256: str, names: tuple[str, ...], pictures: str | None, count: int) -> tuple[Column, ...]:
    rows = table(sha256)
    found = []
    with connect(r=rows) as connection:
        for name in names:
            if name == pictures:
                found.append(Column(name, "pictures", 0, count, 0.0))
                continue
            value = f"nullif(trim(r.{quoted(name)}), '')"
            different = "count(DISTINCT v)" if count <= EXACT_ROWS else "approx_count_distinct(v)"
            query = (
                f"SELECT count(*) - count(v), {different}, count(v),"
                " count(*) FILTER (regexp_full_match(v, '[+-]?[0-9]+')),"
                " count(try_cast(v AS DOUBLE)), count(try_cast(v AS DATE)), coalesce(avg(length(v)), 0)"
                f" FROM (SELECT {value} AS v FROM r)"
            )
            row = connection.execute(query).fetchone()
            assert row is not None
            missing, distinct, there, whole, numbers, dates, characters = row
            kind = "text"
            for name_of_kind, many in (("whole numbers", whole), ("numbers", numbers), ("dates", dates)):
                if there and many == there:
                    kind = name_of_kind
                    break
            found.append(Column(name, "nothing" if not there else kind, missing, distinct, float(characters)))
    return tuple(found)


def guess(kept: ImportedTable, columns: Sequence[Column], is_generative: bool | None = None) -> Roles:
    """By usual names first, then by what the columns hold; `is_generative` None: that is guessed, too."""
    by_name = {column.name.lower(): column for column in reversed(columns)}
    split = next(
        (by_name[name].name for name in SPLITS if name in by_name and by_name[name].distinct <= 5), None
    )
    if kept.kind == "image":
        return Roles((IMAGE,), _label(kept, columns, by_name, split), split)
    others = [column for column in columns if column.name != split and column.type == "text"]
    known = {column.name.lower(): column for column in reversed(others)}
    if is_generative or (is_generative is None and _is_written(kept, known, by_name)):
        return Roles(*_prompt_and_answer(others, known), split, True)
    label = _label(kept, columns, by_name, split)
    others = [column for column in others if column.name != label]
    names = {column.name.lower(): column.name for column in reversed(others)}
    for pair in PAIRS:
        if set(pair) <= set(names):
            return Roles(tuple(names[name] for name in pair), label, split)
    named = next((names[name] for name in TEXT_NAMES if name in names), None)
    longest = max(others, key=lambda column: column.mean_characters, default=None)
    text = named or (longest.name if longest else None)
    return Roles((text,) if text else (), label, split)


def _is_written(kept: ImportedTable, texts: Mapping[str, Column], every: Mapping[str, Column]) -> bool:
    """Whether it looks as if answers were to be written: columns of prompts and of many different answers.

    A question with an answer and a label asks for the label, an instruction with its answer does not.
    """
    few = min(USUAL_CLASSES, kept.rows // 2)
    answered = [name for name in ANSWERS if name in texts and texts[name].distinct > few]
    if not answered or not set(PROMPTS) & (set(texts) - set(answered)):
        return False
    labelled = any(name in every and name not in answered for name in LABEL_NAMES)
    return not labelled or any(name in texts for name in INSTRUCTIONS)


def _prompt_and_answer(
    texts: Sequence[Column], known: Mapping[str, Column]
) -> tuple[tuple[str, ...], str | None]:
    """The columns of the prompt's parts and of the answer: by name, else the first text and the last."""
    prompt = next((known[name].name for name in (*PROMPTS, *TEXT_NAMES) if name in known), None)
    answer = next(
        (known[name].name for name in ANSWERS if name in known and known[name].name != prompt), None
    )
    left = [column.name for column in texts if column.name not in (prompt, answer)]
    prompt = prompt or (left.pop(0) if left else None)
    answer = answer or (left.pop() if left else None)
    more = next((known[name].name for name in MORE_OF_PROMPT if name in known), None)
    if prompt and more and more not in (prompt, answer) and prompt.lower() in INSTRUCTIONS:
        return (prompt, more), answer
    return ((prompt,) if prompt else ()), answer


def _label(
    kept: ImportedTable, columns: Sequence[Column], by_name: dict[str, Column], split: str | None
) -> str | None:
    for name in LABEL_NAMES:
        if name in by_name and by_name[name].distinct > 1:
            return by_name[name].name
    most = min(USUAL_CLASSES, kept.rows // 2)
    few = [
        column
        for column in columns
        if 2 <= column.distinct <= most and column.name not in (split, IMAGE) and column.mean_characters < 40
    ]
    return min(few, key=lambda column: (column.missing, column.distinct)).name if few else None


def preview(kept: ImportedTable, count: int) -> list[dict[str, Any]]:
    """The first rows, without pictures."""
    rows = (
        table(kept.sha256).slice(0, count).drop_columns([IMAGE] if kept.kind == "image" else []).to_pylist()
    )
    return [{("row" if name == ROW else name): value for name, value in row.items()} for row in rows]


def thumbnails(kept: ImportedTable, count: int, side: int) -> list[str]:
    """The first pictures as PNGs of at most `side` pixels, base64, decoded in a child with limits.

    Raises:
        intake.TooMuch: they take more than one may take here.
    """
    found: list[str] = intake.read_in_child(
        _thumbnails, kept.sha256, count, side, limits=intake.child_limits(), imports=READERS
    )
    return found


def _thumbnails(sha256: str, count: int, side: int, _progress: Progress) -> list[str]:
    from PIL import Image

    found = []
    for picture in table(sha256).column(IMAGE).slice(0, count).to_pylist():
        with Image.open(io.BytesIO(picture["bytes"]), formats=FORMATS) as opened:
            small = opened.convert("RGB")
        small.thumbnail((side, side))
        file = io.BytesIO()
        small.save(file, "PNG")
        found.append(base64.b64encode(file.getvalue()).decode())
    return found
