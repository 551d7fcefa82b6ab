"""Uploaded, pasted or named data as a file on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdvft_app.data.source import DataRefused, limits
from cdvft_app.data.zip_file import packed_files


@contextmanager
def as_file(uploaded: object, pasted: object, path: object) -> Iterator[Path]:
    """The file that somebody gave: uploaded, several pictures as one zip, pasted as rows or bytes, or named.

    Raises:
        DataRefused: there is none, or several that do not go together.
    """
    files = [uploaded] if isinstance(uploaded, str) else uploaded if isinstance(uploaded, list) else []
    paths = [Path(one) for one in files if isinstance(one, str) and one]
    if len(paths) > 1:
        with packed_files(paths, limits()) as whole:
            yield whole
    elif paths:
        yield paths[0]
    elif isinstance(pasted, (str, bytes)) and pasted.strip():
        with tempfile.TemporaryDirectory(prefix="cdvft-") as folder:
            file = Path(folder) / "pasted rows.csv"
            file.write_bytes(pasted if isinstance(pasted, bytes) else pasted.encode("utf-8", "replace"))
            yield file
    elif isinstance(path, str) and path.strip():
        yield Path(path.strip()).expanduser()
    else:
        raise DataRefused("Choose a file first, or paste rows.")
