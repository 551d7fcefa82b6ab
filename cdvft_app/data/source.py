"""What readers of files take and give: limits, rows as Arrow in batches, and errors by row and column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal

from cdvft_app.catalog.uploaded import IMAGE, ROW
from cdvft_app.data.row_errors import RowErrors
from cdvft_app.errors import UserError
from cdvft_app.settings.environment import environment

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Limits:
    """`total_bytes` is of all files of one owner and `keep_hours` how long one is kept after its last use,
    None without end; `unpacked_bytes` is of an archive's files or of a Parquet file's rows, `pixels` of a
    picture's longer side, `all_pixels` of all pictures together."""

    file_bytes: int = 2 * 2**30
    total_bytes: int | None = None
    keep_hours: float | None = None
    rows: int = 2_000_000
    columns: int = 200
    cell_characters: int = 100_000
    members: int = 50_000
    unpacked_bytes: int = 4 * 2**30
    picture_bytes: int = 20 * 2**20
    pixels: int = 4096
    all_pixels: int = 10**12
    ratio: int = 200  # unpacked to packed, beyond which a file is taken for a bomb


LIMITS = Limits()
PUBLIC = Limits(
    file_bytes=8 * 2**20,
    total_bytes=32 * 2**20,
    rows=50_000,
    columns=50,
    cell_characters=20_000,
    members=5_000,
    unpacked_bytes=64 * 2**20,
    picture_bytes=4 * 2**20,
    all_pixels=100_000_000,
)
MAX_PASTED = 400_000  # characters


def limits() -> Limits:
    """Return the limits of a private machine, or of a public one, which keeps rows as long as uploads."""
    return replace(PUBLIC, keep_hours=environment().upload_hours) if environment().public else LIMITS


class DataRefused(UserError):
    """The data cannot be taken; a sentence that says why, and what to do."""


BATCH = 10_000  # rows


@dataclass
class Source:
    """`columns` are the file's own, without the number of the row; all are text, but for `IMAGE`.

    `read` yields the batches, of `schema`, once, and adds to `faults` meanwhile. If `rows_have_names`, as
    rows of several files do, a row is named by a text instead of its number.
    """

    format: str
    kind: Literal["text", "image"]
    columns: tuple[str, ...]
    read: Callable[[], Iterator[pa.RecordBatch]]
    encoding: str | None = None
    separator: str | None = None
    notes: list[str] = field(default_factory=list)
    faults: RowErrors = field(default_factory=RowErrors)
    rows_have_names: bool = False

    def schema(self) -> pa.Schema:
        import pyarrow as pa

        picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        fields = [
            (name, picture if name == IMAGE and self.kind == "image" else pa.string())
            for name in self.columns
        ]
        named = self.kind == "image" or self.rows_have_names
        return pa.schema([(ROW, pa.string() if named else pa.int64()), *fields])


MAX_NAME = 180  # characters, so that a place fits behind it within those of settings' names


def distinct_names(given: Iterable[str]) -> tuple[str, ...]:
    """Return names of columns that differ in SQL, to which “Text” is “text”: a second one gets its place.

    One without a name gets it alone. Of a long name its beginning is kept, and no NUL, which no SQL may hold.
    """
    names: list[str] = []
    taken = {ROW}
    for place, name in enumerate(given, 1):
        wanted = name.replace("\0", "")[:MAX_NAME] or f"column {place}"
        others = (f"{wanted} {number}" for number in range(place, place + len(names) + 1))
        names.append(next(one for one in chain([wanted], others) if one.lower() not in taken))
        taken.add(names[-1].lower())
    return tuple(names)


NumberedRow = tuple[int, Sequence[str | None]]


def record_batch(schema: pa.Schema, rows: Iterable[Sequence[Any]]) -> pa.RecordBatch:
    """Return one row or more, each with a value for every field of the schema, as a batch."""
    import pyarrow as pa

    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def row_batches(source: Source, rows: Iterable[NumberedRow], limits: Limits) -> Iterator[pa.RecordBatch]:
    """Yield numbered rows as batches of the source's schema.

    Raises:
        DataRefused: there are too many.
    """
    schema, total, remaining = source.schema(), 0, iter(rows)
    while some := list(islice(remaining, BATCH)):
        total += len(some)
        if total > limits.rows:
            raise DataRefused(
                f"It has more than {limits.rows:,} rows, the most that is taken. Give a part of it."
            )
        batch = record_batch(schema, ((number, *values) for number, values in some))
        del some  # while a batch is used, its rows are in memory once
        yield batch
        del batch


def short_values(source: Source, rows: Iterable[NumberedRow], limits: Limits) -> Iterator[NumberedRow]:
    """Yield the rows without those that have a value of more characters than is taken, which are faults."""
    most = limits.cell_characters
    for row in rows:
        number, values = row
        named = zip(source.columns, values, strict=True)
        long = next((name for name, one in named if one and len(one) > most), None)
        if long:
            source.faults.add(number, f"it has more than {most:,} characters", "shorten it", long)
        else:
            yield row
