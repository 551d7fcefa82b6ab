"""Small files that want to become large, given to a public server by its own page: one of each reader.

What each of them takes and is told is in tests/cdvft_app/public/test_intake.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bombs
import pytest
from started_server import ROWS, PublicServer, Stranger, uploaded

pytestmark = pytest.mark.nightly
MAX_PAGE = 60.0  # MB that the page may grow by; an upload of 8 MB passes through it
MAX_CHILD = 500.0


def give(visitor: Stranger, file: Path) -> str:
    """What the page says of a file of rows: why it refuses it, else how many it has read."""
    form = ["", "", "", 2, [], None, "", 0]
    answer = visitor.press("own-read", "click", [uploaded(visitor.upload(file))], *form)
    assert answer.ok, answer
    said, _, _, shown, *_ = answer.value
    return str(said or shown["read"])


@pytest.fixture(scope="module", autouse=True)
def used_before(server: PublicServer) -> None:
    """What the page imports at its first file is no bomb's."""
    visitor = Stranger(server, "stranger-0")
    assert visitor.call("upload_dataset", ROWS, "scenes", "", "").value["rows"] == 40
    server.settle()


@pytest.mark.parametrize(
    ("bomb", "takes", "sentence"),
    [
        (bombs.parquet_of_a_dictionary, give, "unpack to more than 67 MB"),
    ],
)
def test_the_page_keeps_its_memory_and_says_why(server, stranger, tmp_path, bomb, *, takes, sentence) -> None:
    visitor, file = stranger(), bomb(tmp_path)
    with server.watched() as watched:
        said = takes(visitor, file)
    assert sentence in said
    assert watched.grown < MAX_PAGE and 0 < watched.child < MAX_CHILD, watched
    print(f"{bomb.__name__}: {file.stat().st_size:,} bytes, {watched}")


def test_honest_rows_are_still_taken(stranger: Callable[[], Stranger], tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(ROWS)
    assert give(stranger(), file).endswith("40 rows")
