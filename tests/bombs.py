"""Small files that want to become large: each as a stranger would give it."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from uuid import uuid4

from cdvft_app.settings import RunSettings

MB = 10**6
RUN = "0123456789abcdef0123456789abcdef"


def facts(**changed: object) -> str:
    """`run.json` of an honest run, with what is `changed`."""
    settings = RunSettings(method="lora").model_dump_json()
    usual = {
        "id": RUN, "group_id": "group", "position": 0, "name": "Films", "settings": settings,
        "method": "lora", "state": "interrupted", "created": 1.7e9, "queued": 1.7e9, "result": "{}",
    }  # fmt: skip
    return json.dumps(usual | changed)


def row(kind: str, step: object = None, **data: object) -> str:
    return json.dumps({"kind": kind, "step": step, "data": json.dumps(data)}) + "\n"


def started(**changed: object) -> str:
    values: dict[str, object] = {
        "total_steps": 2, "trainable_parameters": 4, "head_parameters": 1, "base_parameters": 9,
        "device": "CPU", "precision": "float32", "train_examples": 8, "evaluation_examples": 8,
        "metric_name": "accuracy",
    }  # fmt: skip
    return row("started", None, **{**values, **changed})


def history(
    folder: Path, run_json: str = "", rows: str = "", packed: int = zipfile.ZIP_DEFLATED, run: str = RUN
) -> Path:
    """A history of one run that says so."""
    file = folder / "history.zip"
    with zipfile.ZipFile(file, "w", packed) as archive:
        archive.writestr(f"{run}/run.json", run_json or facts())
        archive.writestr(f"{run}/rows.jsonl", rows)
    return file


def history_by_bz2(folder: Path, size: int = 100 * MB) -> Path:
    """A few hundred bytes of bz2 that unpack to `size`, and claim to be few."""
    file = folder / "bz2.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr(f"{RUN}/run.json", bytes(size))
    return _claiming(file, size, 1000)


def history_of_one_line(folder: Path, size: int = 100 * MB) -> Path:
    """rows.jsonl that is one line without an end, of a run that nobody brought before."""
    run = uuid4().hex
    return history(folder, facts(id=run), '{"kind": "' + "x" * size, run=run)


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
