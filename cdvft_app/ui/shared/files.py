"""Files that visitors give, and those made for them, which go after an hour; Gradio copies what it serves."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cdvft_app.data.source import MAX_PASTED, DataRefused, limits
from cdvft_app.data.zip_file import packed_files
from cdvft_app.errors import UserError
from cdvft_app.files import folder_bytes
from cdvft_app.public import uploads
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.settings.environment import environment
from cdvft_app.ui.shared.gradio_adapter import get_upload_folder, hash_file
from cdvft_app.ui.shared.viewing import client_key, viewer

PREFIX = "cdvft-export-"
KEPT_SECONDS = 3600.0
MAX_EXPORTS_OF_ONE = 4  # of one visitor, who may be a class behind one address; each browser has one


def new_file(name: str, whose: str = "") -> Path:
    """Return a path in a new folder for one file; folders of an hour ago, of any process, are removed.

    Raises:
        ResultsError: the disk takes nothing more.
    """
    purge_expired()
    try:
        return Path(tempfile.mkdtemp(prefix=PREFIX + whose)) / name
    except OSError as error:
        raise ResultsError(f"There is no place for a file here: {error.strerror or error}.") from error


def export(name: str, write: Callable[[Path], object]) -> Path:
    """Return the file of this name that `write` makes. On a public server it replaces the visitor's last one.

    Raises:
        ResultsError: the disk takes nothing more, or what visitors may keep there is full; or of `write`.
    """
    if not environment().public:
        out = new_file(name)
        write(out)
        return out
    return _of_visitor(name, write, "")


def rows_folder(read: Callable[[Path], object]) -> Path:
    """Return a folder that `read` fills with rows. On a public server it replaces the visitor's last one.

    Raises:
        ResultsError: as `export`.
    """

    def fill(folder: Path) -> None:
        folder.mkdir()
        read(folder)

    if not environment().public:
        out = new_file("rows")
        fill(out)
        return out
    return _of_visitor("rows", fill, "rows-")


def _of_visitor(name: str, write: Callable[[Path], object], kind: str) -> Path:
    visitor = kind + _short(client_key())
    browser = f"{visitor}-{_short(viewer().owner or '')}-"
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}{browser}*"):
        _remove(folder)
    _refuse_if_full()
    out = new_file(name, browser)
    try:
        write(out)
        _refuse_if_full()
    except BaseException:
        _remove(out.parent)
        raise
    others = sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}{visitor}-*"), key=_made)
    for folder in others[:-MAX_EXPORTS_OF_ONE]:
        _remove(folder)
    return out


def purge_expired() -> None:
    """Remove the folders of exports that are older than `KEPT_SECONDS`."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # somebody else's, or gone meanwhile
            if time.time() - folder.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(folder)


def _refuse_if_full() -> None:
    """Raise `ResultsError` where the disk has no room; a file counts twice, as Gradio serves a copy."""
    folders = Path(tempfile.gettempdir()).glob(f"{PREFIX}*")
    made = sum(map(folder_bytes, folders))
    if full := uploads.refusal(Path(get_upload_folder()), made):
        raise ResultsError(full)


def _remove(folder: Path) -> None:
    """Remove a folder with the copies of its files that Gradio made, in folders named by their hashes."""
    for file in folder.glob("*"):
        with suppress(OSError):  # a folder is served to nobody
            (Path(get_upload_folder()) / hash_file(file) / file.name).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _made(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:  # gone meanwhile
        return 0.0


def _short(whose: str) -> str:
    return hashlib.sha256(whose.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def rows_or_file(rows: object, file: object) -> str | bytes:
    """Return what an endpoint was given: the bytes of a file, which come in base64, or the text of rows.

    Raises:
        UserError: the text is too long, or the bytes are none.
    """
    if not isinstance(rows, str) or len(rows) > MAX_PASTED:
        raise UserError(f"rows: give the text of a file, of at most {MAX_PASTED:,} characters.")
    try:
        return b64decode(file, validate=True) or rows  # type: ignore[arg-type]
    except (ValueError, TypeError):
        raise UserError("file: give the bytes of a file in base64.") from None


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
