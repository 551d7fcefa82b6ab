"""Small files that want to become large, given to a public server by its own page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bombs
import pytest
from started_server import PublicServer, Stranger, uploaded

MAX_PAGE = 60.0  # MB that the page may grow by; an upload of 8 MB passes through it
MAX_CHILD = 500.0
ROWS = "text,label\n" + "".join(f"scene {n},{'good' if n % 2 else 'bad'}\n" for n in range(40))

DATA = [
    (bombs.pictures_by_lzma, "packed in a way that is not read"),
    (bombs.parquet_of_a_dictionary, "unpack to more than 67 MB"),
    (bombs.zip_of_webps, "million pixels together"),
    (bombs.nested_json, "holds a JSON object"),
]
HISTORY = [
    (bombs.history_by_bz2, "packed in a way that is not read"),
    (bombs.history_of_one_line, "1 run taken"),
]


def given(visitor: Stranger, file: Path) -> list[Any]:
    """The page's answer to a file of rows: what it says, the visitor's data, and what is shown of it."""
    form = ["", "", "", 2, [], None, "", 0]
    answer = visitor.press("own-read", "click", [uploaded(visitor.upload(file))], *form)
    assert answer.ok, answer
    return list(answer.value)


def give(visitor: Stranger, file: Path) -> str:
    """What the page says of a file of rows."""
    return str(given(visitor, file)[0])


def bring(visitor: Stranger, file: Path) -> str:
    """What the page says of a history."""
    answer = visitor.press("history-given", "upload", uploaded(visitor.upload(file)), "")
    assert answer.ok, answer
    return str(answer.value[1])


@pytest.fixture(scope="module", autouse=True)
def used_before(server: PublicServer) -> None:
    """What the page imports at its first file is no bomb's."""
    visitor = Stranger(server, "stranger-0")
    assert visitor.call("upload_dataset", ROWS, "scenes", "", "").value["rows"] == 40
    server.settle()


@pytest.mark.parametrize("case", [*((give, *one) for one in DATA), *((bring, *one) for one in HISTORY)])
def test_the_page_keeps_its_memory_and_says_why(
    server: PublicServer, stranger: Callable[[], Stranger], tmp_path: Path, case: Any
) -> None:
    how, bomb, sentence = case
    visitor, file = stranger(), bomb(tmp_path)
    with server.watched() as watched:
        said = how(visitor, file)
    assert sentence in said
    assert watched.grown < MAX_PAGE and watched.child < MAX_CHILD, watched
    print(f"{bomb.__name__}: {file.stat().st_size:,} bytes, {watched}")


def test_honest_rows_are_still_taken(stranger: Callable[[], Stranger], tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(ROWS)
    said, _, _, found, *_ = given(stranger(), file)
    assert said == "" and found["read"].endswith("40 rows")
