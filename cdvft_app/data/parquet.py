"""Parquet, as the datasets library and others write it; every value becomes text, an image stays one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdvft_app.catalog.conversations import LAYOUTS
from cdvft_app.catalog.uploaded import IMAGE, ROW
from cdvft_app.data.pictures import PictureReader
from cdvft_app.data.source import DataRefused, Limits, Source, distinct_names
from cdvft_app.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

BATCH, BATCH_BYTES = 1_000, 64 * 2**20


def read_parquet(path: Path, limits: Limits, progress: Progress) -> Source:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataRefused(
            f"“{path.name}” cannot be read as Parquet: {str(error).splitlines()[0][:200]}"
        ) from None
    schema, rows = file.schema_arrow, file.metadata.num_rows
    if rows > limits.rows or len(schema) > limits.columns:
        raise DataRefused(
            f"It has {rows:,} rows and {len(schema):,} columns; at most {limits.rows:,} and {limits.columns} "
            "are taken. Give a part of it."
        )
    packed = sum(file.metadata.row_group(place).total_byte_size for place in range(file.num_row_groups))
    if packed > limits.unpacked_bytes:
        raise DataRefused(
            f"It unpacks to {packed / 1e9:.1f} GB; at most {limits.unpacked_bytes / 1e9:.1f} GB are taken."
        )
    pictures = [field.name for field in schema if _is_picture(field.type)]
    plain = [field.name for field in schema if _has_text(field.type)]
    talks = [field.name for field in schema if _is_conversation(field.type)]
    left_out = [field.name for field in schema if field.name not in (*plain, *pictures[:1], *talks)]
    if not plain and not talks:
        raise DataRefused("None of its columns holds text or numbers.")
    kept = [*pictures[:1], *plain, *talks]
    if again := next((name for name in kept if schema.names.count(name) > 1), None):
        raise DataRefused(f"Several of its columns are named “{again[:80]}”. Give each a name of its own.")
    classes = _class_names(schema)
    source = Source(
        "Parquet",
        "image" if pictures else "text",
        distinct_names(IMAGE if name in pictures else name for name in kept),
        lambda: _batches(source, file=file, kept=kept, classes=classes, limits=limits, progress=progress),
    )
    if left_out:
        source.notes.append(
            f"Left out, since they hold neither text nor numbers: {', '.join(left_out[:10])}."
        )
    return source


def _undamaged(read: Callable[[], Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
    """Yield the batches that pyarrow reads; raise `DataRefused` for damage, such as text that is no UTF-8."""
    import pyarrow as pa

    try:
        for batch in read():
            batch.validate(full=True)  # reading alone lets text through that is no UTF-8
            yield batch
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataRefused(f"The Parquet file is damaged: {str(error).splitlines()[0][:200]}") from None


def _batches(
    source: Source,
    *,
    file: Any,
    kept: list[str],
    classes: dict[str, list[str]],
    limits: Limits,
    progress: Progress,
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.compute as pc

    row, total = 0, max(file.metadata.num_rows, 1)
    unpacked, reader = 0, PictureReader(limits)
    # A dictionary names a long value in a few bits: few enough rows at a time that the longest ones fit.
    most = max(1, BATCH_BYTES // (4 * limits.cell_characters * len(kept)))
    for batch in _undamaged(lambda: file.iter_batches(min(BATCH, most), columns=kept)):
        unpacked += batch.nbytes
        if unpacked > limits.unpacked_bytes:
            raise DataRefused(
                f"Its rows unpack to more than {limits.unpacked_bytes / 1e6:,.0f} MB, the most that is "
                "taken. Give a part of it."
            )
        numbers = range(row + 1, row + len(batch) + 1)
        row += len(batch)
        progress(row / total, f"Reading row {row:,}")
        whole = [True] * len(batch)
        arrays: list[pa.Array] = []
        for name, given in zip(source.columns, kept, strict=True):
            column = batch.column(given)
            if name == IMAGE and source.kind == "image":
                values = column.to_pylist()
                for place, (number, one) in enumerate(zip(numbers, values, strict=True)):
                    data = one and one.get("bytes")
                    wrong = reader.fault(data or b"")
                    if wrong:
                        source.faults.add(number, wrong, "give another picture", name)
                        whole[place] = False
                pictures = [
                    {"bytes": (one or {}).get("bytes"), "path": (one or {}).get("path")} for one in values
                ]
                arrays.append(pa.array(pictures, source.schema().field(IMAGE).type))
            elif given in classes:
                names = classes[given]
                numbers_of = column.to_pylist()
                arrays.append(pa.array([_named(names, one) for one in numbers_of], pa.string()))
            else:
                text = _as_json(column) if pa.types.is_nested(column.type) else pc.cast(column, pa.string())
                lengths = pc.fill_null(pc.utf8_length(text), 0).to_pylist()
                for place, (number, length) in enumerate(zip(numbers, lengths, strict=True)):
                    if length > limits.cell_characters:
                        source.faults.add(
                            number,
                            f"it has more than {limits.cell_characters:,} characters",
                            "shorten it",
                            name,
                        )
                        whole[place] = False
                arrays.append(text)
        own = (
            pa.array(map(str, numbers), pa.string())
            if source.kind == "image"
            else pa.array(numbers, pa.int64())
        )
        rows_read = pa.RecordBatch.from_arrays([own, *arrays], names=[ROW, *source.columns])
        yield rows_read.filter(pa.array(whole))


def _has_text(kind: pa.DataType) -> bool:
    """Return whether values of this type can be written as text: neither bytes nor what holds others."""
    import pyarrow as pa
    import pyarrow.compute as pc

    of = pa.types
    of_bytes = of.is_binary, of.is_large_binary, of.is_binary_view, of.is_fixed_size_binary
    if of.is_nested(kind) or any(is_one(kind) for is_one in of_bytes):
        return False
    try:
        pc.cast(pa.nulls(0, kind), pa.string())
    except pa.ArrowException:
        return False
    return True


def _is_picture(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_struct(kind) and {kind.field(place).name for place in range(kind.num_fields)} == {
        "bytes",
        "path",
    }


def _is_conversation(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not pa.types.is_struct(
        kind.value_type
    ):
        return False
    names = {kind.value_type.field(place).name for place in range(kind.value_type.num_fields)}
    return any({*one} <= names for one in LAYOUTS)


def _as_json(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    values = column.to_pylist()  # a message may have a time beside its text
    return pa.array(
        [None if one is None else json.dumps(one, ensure_ascii=False, default=str) for one in values],
        pa.string(),
    )


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Return names of the classes of columns that the datasets library wrote as numbers."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            name: list(map(str, one["names"]))
            for name, one in features.items()
            if one.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _named(names: list[str], number: Any) -> str | None:
    if number is None or number == -1:
        return None
    return names[number] if isinstance(number, int) and 0 <= number < len(names) else str(number)
