"""What a reader of files gives: rows as Arrow, in batches, and how they were read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cdvft_app.catalog.uploaded_rows import IMAGE, ROW
from cdvft_app.data.faults import RowErrors

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 10_000  # rows

Progress = Callable[[float | None, str], None]


@dataclass
class Source:
    """`columns` are the file's own, without the number of the row; all are text, but for `IMAGE`.

    `read` gives the batches, of `schema`, once; while it goes, faults are added.
    """

    format: str
    kind: Literal["text", "image"]
    columns: tuple[str, ...]
    read: Callable[[], Iterator[pa.RecordBatch]]
    encoding: str | None = None
    separator: str | None = None
    notes: list[str] = field(default_factory=list)
    faults: RowErrors = field(default_factory=RowErrors)

    def schema(self) -> pa.Schema:
        import pyarrow as pa

        picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        fields = [
            (name, picture if name == IMAGE and self.kind == "image" else pa.string())
            for name in self.columns
        ]
        return pa.schema([(ROW, pa.string() if self.kind == "image" else pa.int64()), *fields])
