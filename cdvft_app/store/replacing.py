"""A file that is there whole, or as it was before, whatever happens while it is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(file: Path, *, private: bool = False) -> Iterator[Path]:
    """A place beside the file to write to, which becomes it at the end; nothing of it stays otherwise.

    Nobody else on this machine reads a `private` one.
    """
    unfinished = file.with_name(f"{file.name}.unfinished")
    try:
        if private:
            unfinished.touch(0o600)
        yield unfinished
        if private:
            unfinished.chmod(0o600)  # whoever wrote may have made a new one
        os.replace(unfinished, file)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
