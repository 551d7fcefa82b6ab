"""Small files that want to become large: each as a stranger would give it."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

MB = 10**6


def pictures_by_lzma(folder: Path, size: int = 100 * MB) -> Path:
    file = folder / "lzma.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        for name in ("cat/1.png", "dog/1.png"):
            archive.writestr(name, bytes(size))
    return _claiming(file, size, 1000)


def parquet_of_a_dictionary(folder: Path, rows: int = 20_000, letters: int = 19_000) -> Path:
    """One value that every row names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = pa.array([0] * rows, pa.int32())
    text = pa.DictionaryArray.from_arrays(numbers, pa.array(["x" * letters]))
    labels = pa.DictionaryArray.from_arrays(numbers, pa.array(["good"]))
    file = folder / "dictionary.parquet"
    pq.write_table(pa.table({"text": text, "label": labels}), file, compression="zstd", store_schema=False)
    return file


def webp() -> bytes:
    """A picture without a loss that is one colour, in some dozens of bytes."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (4096, 4096), "red").save(file, "WEBP", lossless=True)
    return file.getvalue()


def zip_of_webps(folder: Path, count: int = 5000) -> Path:
    """Pictures of 17 million pixels each."""
    picture = webp()
    file = folder / "webps.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for place in range(count):
            archive.writestr(f"{'cat' if place % 2 else 'dog'}/{place}.webp", picture)
    return file


def nested_json(folder: Path, deep: int = 60_000) -> Path:
    file = folder / "nested.jsonl"
    line = '{"text": ' + "[" * deep + "]" * deep + ', "label": "a"}\n'
    file.write_text(line * 20)
    return file


def _claiming(file: Path, real: int, claimed: int) -> Path:
    """The archive with `claimed` in place of the `real` size of its members, in both of its tables."""
    file.write_bytes(file.read_bytes().replace(struct.pack("<L", real), struct.pack("<L", claimed)))
    return file
