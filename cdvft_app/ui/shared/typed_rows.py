"""Uploaded, pasted or named data as a file on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdvft_app.data.faults import DataRefused


@contextmanager
def as_file(uploaded: object, pasted: object, path: object) -> Iterator[Path]:
    """The file that somebody gave: uploaded, pasted as rows or bytes, or named. DataRefused for none."""
    if isinstance(uploaded, str) and uploaded:
        yield Path(uploaded)
    elif isinstance(pasted, (str, bytes)) and pasted.strip():
        with tempfile.TemporaryDirectory(prefix="cdvft-") as folder:
            file = Path(folder) / "pasted rows.csv"
            file.write_bytes(pasted if isinstance(pasted, bytes) else pasted.encode("utf-8", "replace"))
            yield file
    elif isinstance(path, str) and path.strip():
        yield Path(path.strip()).expanduser()
    else:
        raise DataRefused("Choose a file first, or paste rows.")
