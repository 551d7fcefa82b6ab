"""Files on a disk that may be full, and that other programs change meanwhile."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG

LEFT_SECONDS = 3600.0  # longer than any file is read
_FULL = re.compile("disk is full|No space left|os error 28")


def is_full(error: BaseException) -> bool:
    """Return whether the error says that the disk is full, raised by Python, by SQLite or by Rust code."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or bool(_FULL.search(str(error)))


def files_below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield every file below the folder with its status; links and files that vanish meanwhile are left out.

    Up to Python 3.12 `Path.rglob` raises FileNotFoundError for a folder that vanishes while it walks.
    """
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            with suppress(OSError):
                if S_ISREG((status := path.lstat()).st_mode):
                    yield path, status


def folder_bytes(folder: Path) -> int:
    """Return the size in bytes of all files that `files_below` yields; 0 where there is no such folder."""
    return sum(status.st_size for _, status in files_below(folder))


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file's bytes as hex digits; raise OSError where it cannot be read."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def remove_left(folder: Path, beginning: str) -> None:
    """Remove the folders in `folder` that are called so and were made an hour ago: of programs that were
    killed."""
    for left in folder.glob(f"{beginning}*"):
        with suppress(OSError):
            if left.stat().st_mtime < time.time() - LEFT_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def replacing(file: Path, *, private: bool = False) -> Iterator[Path]:
    """Give a path beside `file` to write to, which replaces `file` at the end, and is removed after an error.

    So `file` is whole, or as it was before. Only its owner can read a `private` one.
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


@contextmanager
def replacing_folder(folder: Path, beside: Path | None = None) -> Iterator[Path]:
    """Give an empty folder to write into, which replaces `folder` at the end, and is removed after an error.

    So `folder` is whole, or as it was before. The new one is made in `beside`, on the same disk; None: next
    to `folder`.
    """
    unfinished = (beside or folder.parent) / f".{folder.name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)  # of a program that was killed
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(unfinished, folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
