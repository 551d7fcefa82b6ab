"""Uploaded files: deleted after CDVFT_UPLOAD_HOURS, and limited in total, so that nobody fills the disk."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from cdvft_app.files import files_below, folder_bytes, remove_left
from cdvft_app.settings.environment import data_folder, environment

READING = ".reading-"  # before the names of folders of `data_folder()` in which files are read


def purge_expired(folder: Path) -> int:
    """Delete files in `folder` that are older than CDVFT_UPLOAD_HOURS, and return the bytes of those that
    stay."""
    expired = time.time() - 3600 * environment().upload_hours
    left = 0
    for file, known in files_below(folder):
        if known.st_mtime >= expired:
            left += known.st_size
        else:
            with suppress(OSError):  # another request was first
                file.unlink()
    return left


def refusal(folder: Path | None, wanted: int) -> str | None:
    """Return why so many bytes more are not taken now; None where they are, as on any server that is not
    public.

    What lies in `folder`, if there is one, and the rows of visitors' own data share one room.
    """
    if not environment().public:
        return None
    remove_left(data_folder(), READING)  # here, since they would count, and refuse what removes them
    rows = folder_bytes(data_folder())
    if (purge_expired(folder) if folder else 0) + rows + wanted <= environment().upload_bytes:
        return None
    return (
        f"The files that visitors uploaded here fill the {environment().upload_bytes / 1e6:g} MB there are "
        f"for them (CDVFT_UPLOAD_BYTES). They go after {environment().upload_hours:g} h; try again then."
    )
