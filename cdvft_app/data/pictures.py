"""Pictures: a zip with one folder a class, or with a CSV that names each one's label; folders become one."""

from __future__ import annotations

import csv
import io
import re
import stat
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cdvft_app.catalog.uploaded_rows import EVALUATION_NAMES, IMAGE, TRAINING_NAMES
from cdvft_app.data.source import DataRefused, Limits, Progress, RowErrors, Source

if TYPE_CHECKING:
    import pyarrow as pa


FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
TABLES = (".csv", ".tsv")
# What zipfile and zlib raise, who trust what an archive says of itself.
DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError)
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others unpack without a bound to memory
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".whl", ".jar")
LABEL, SPLIT = "label", "split"
BATCH, BATCH_BYTES = 100, 16 * 2**20
LONGEST_PATH = 400
MAX_TABLE = 20 * 2**20  # bytes of a CSV of labels
SMALL = 1_000_000  # bytes, below which no file is a bomb


@dataclass
class Checked:
    """Pictures that are looked at one after the other; together they have no more pixels than is taken."""

    limits: Limits
    pixels: int = 0

    def wrong(self, data: bytes) -> str | None:
        """What is wrong with a picture's bytes; None for a whole one.

        Raises:
            DataRefused: it is one picture too many.
        """
        from PIL import Image

        limits = self.limits
        if not data:
            return "it is empty"
        if len(data) > limits.picture_bytes:
            return f"it has more than {limits.picture_bytes / 1e6:.0f} MB"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                    width, height = opened.size
                    if max(width, height) > limits.pixels:
                        return f"it has {width:,} x {height:,} pixels, more than {limits.pixels:,} a side"
                    self._count(width * height)
                    opened.load()
        except (OSError, SyntaxError, ValueError, EOFError, zlib.error, Image.DecompressionBombError):
            return f"it cannot be read as {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        return None

    def _count(self, pixels: int) -> None:
        self.pixels += pixels
        if self.pixels > self.limits.all_pixels:
            raise DataRefused(
                f"The pictures have more than {self.limits.all_pixels / 1e6:,.0f} million pixels together, "
                "the most that are taken. Make them smaller, or give fewer."
            )


def read_pictures(path: Path, limits: Limits, progress: Progress) -> Source:
    """Pictures of a zip that is safe to read; nothing of it is unpacked to disk."""
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGE:
        raise DataRefused(f"“{path.name}” is no whole zip file. Pack it again.") from None
    faults = RowErrors()
    members = _members(archive, limits, faults)
    pictures = [one for one in members if one.filename.lower().endswith(ENDINGS)]
    tables = [one for one in members if one.filename.lower().endswith(TABLES)]
    for one in members:
        if one not in pictures and one not in tables:
            faults.add(
                one.filename, "it is no picture", f"leave it out; pictures end in {', '.join(ENDINGS)}"
            )
    if not pictures:
        raise DataRefused(
            f"“{path.name}” holds no pictures. Give a zip with one folder of pictures a class; a table alone "
            "is given as it is, not zipped."
        )
    labels, by_name = {}, False
    if tables:
        labels = _labels_of_table(archive, tables, pictures, limits)
    else:
        labels, by_name = _labels_of_folders_or_names(pictures)
    splits = _splits(pictures)
    columns = (IMAGE, LABEL, *((SPLIT,) if splits else ()))

    def read() -> Iterator[pa.RecordBatch]:
        return _batches(
            source,
            archive=archive,
            pictures=pictures,
            labels=labels,
            splits=splits,
            limits=limits,
            progress=progress,
        )

    source = Source("zip of pictures", "image", columns, read, faults=faults)
    if by_name:
        example = PurePosixPath(next(iter(labels))).name
        source.notes.append(
            f"The classes are what the files' names begin with: {_short(example)} is of "
            f"“{next(iter(labels.values()))}”."
        )
    return source


def _members(archive: zipfile.ZipFile, limits: Limits, faults: RowErrors) -> list[zipfile.ZipInfo]:
    """Its files. Anything that an honest archive has no use for is refused."""
    every = archive.infolist()
    if len(every) > limits.members:
        raise DataRefused(f"The zip has {len(every):,} files; at most {limits.members:,} are taken.")
    unpacked = sum(one.file_size for one in every)
    if unpacked > limits.unpacked_bytes:
        raise DataRefused(
            f"The zip unpacks to {unpacked / 1e9:.1f} GB; at most {limits.unpacked_bytes / 1e9:.1f} GB are "
            "taken."
        )
    names, found = set(), []
    for one in every:
        name = one.filename
        _check_name(name)
        if stat.S_ISLNK(one.external_attr >> 16):
            raise DataRefused(f"The zip has a symbolic link, {_short(name)}. Pack the files themselves.")
        if one.flag_bits & 1:
            raise DataRefused(f"{_short(name)} in the zip is encrypted. Pack it without a password.")
        if one.compress_type not in PACKED:
            raise DataRefused(
                f"{_short(name)} in the zip is packed in a way that is not read here. Pack it as a usual "
                "zip, by “Deflate”."
            )
        if name.lower().endswith(ARCHIVES):
            raise DataRefused(f"The zip has an archive in it, {_short(name)}. Pack the pictures themselves.")
        if one.file_size > SMALL and one.file_size > limits.ratio * max(one.compress_size, 1):
            times = one.file_size / max(one.compress_size, 1)
            raise DataRefused(
                f"{_short(name)} in the zip unpacks to {times:,.0f} times its size; at most {limits.ratio} "
                "times is taken."
            )
        parts = PurePosixPath(name).parts
        if one.is_dir() or "__MACOSX" in parts or parts[-1].startswith(".") or parts[-1] == "Thumbs.db":
            continue
        if name in names:
            faults.add(name, "it is in the zip twice; the first one is taken", "give it another name")
            continue
        names.add(name)
        found.append(one)
    return found


def _check_name(name: str) -> None:
    path = PurePosixPath(name)
    odd = not name.isprintable() or "\\" in name or ":" in name or len(name) > LONGEST_PATH
    if odd or path.is_absolute() or ".." in path.parts or not path.parts:
        raise DataRefused(f"{_short(name)} is no name that a file in a zip may have. Pack the folder anew.")


def _short(name: str) -> str:
    printable = "".join(one if one.isprintable() else "?" for one in name)
    return f"“{printable if len(printable) <= 80 else printable[:77] + '...'}”"


def _labels_of_folders_or_names(pictures: list[zipfile.ZipInfo]) -> tuple[dict[str, str], bool]:
    """The name of each picture's folder, or what its own begins with; and whether it is that."""
    labels = {one.filename: PurePosixPath(one.filename).parent.name for one in pictures}
    classes = {label for label in labels.values() if label}
    if len(classes) >= 2 and not classes <= {*TRAINING_NAMES, *EVALUATION_NAMES}:
        return labels, False
    beginnings = {one.filename: _beginning(PurePosixPath(one.filename).stem) for one in pictures}
    if all(beginnings.values()) and 2 <= len({*beginnings.values()}) <= len(pictures) / 2:
        return beginnings, True
    where = f"in one folder, {_short(classes.pop())}" if len(classes) == 1 else "in no folders of classes"
    raise DataRefused(
        f"The pictures lie {where}, and their names do not begin with a class and end in a number, as "
        "cat_01.png does, so they have no labels. Name them so, put each class into a folder of its own, or "
        "add a CSV with the columns file and label."
    )


def _beginning(name: str) -> str:
    """“cat” of cat_01, cat-1, cat.1, cat (1) and cat1; nothing where no number follows."""
    found = re.fullmatch(r"(.*?[^\W\d_])[\W_]*\d+\W*", name)
    return found[1] if found else ""


def _labels_of_table(
    archive: zipfile.ZipFile, tables: list[zipfile.ZipInfo], pictures: list[zipfile.ZipInfo], limits: Limits
) -> dict[str, str]:
    """What the one CSV says of each picture: a column with file names, and one of labels."""
    if len(tables) > 1:
        names = ", ".join(_short(one.filename) for one in tables[:5])
        raise DataRefused(
            f"The zip has {len(tables)} tables ({names}); give one, with the columns file and label."
        )
    try:
        text = _bytes(archive, tables[0], MAX_TABLE).decode("utf-8-sig", "replace")
    except DAMAGE:
        raise DataRefused(f"{_short(tables[0].filename)} is damaged in the zip. Pack it again.") from None
    try:
        rows = list(csv.DictReader(io.StringIO(text), dialect=csv.Sniffer().sniff(text[:8192], ",;\t|")))
    except csv.Error:
        rows = list(csv.DictReader(io.StringIO(text)))
    known = {one.filename for one in pictures} | {PurePosixPath(one.filename).name for one in pictures}
    columns = list(rows[0]) if rows else []
    named = max(
        columns, key=lambda column: sum(str(row.get(column)).strip() in known for row in rows), default=None
    )
    others = [column for column in columns if column != named and column]
    label = next((one for one in others if one.lower() in ("label", "class", "category", "target")), None)
    label = label or (others[0] if len(others) == 1 else None)
    if named is None or label is None or not any(str(row.get(named)).strip() in known for row in rows):
        raise DataRefused(
            f"{_short(tables[0].filename)} must have the columns file and label, a row for each picture; its "
            f"columns are {', '.join(map(str, columns)) or 'none'}."
        )
    by_name = {str(row[named]).strip(): str(row.get(label) or "").strip() for row in rows}
    return {
        one.filename: by_name.get(one.filename) or by_name.get(PurePosixPath(one.filename).name, "")
        for one in pictures
    }


def _splits(pictures: list[zipfile.ZipInfo]) -> dict[str, str]:
    """Training or evaluation by a folder above each picture's own; empty where not all say so."""
    names = (*TRAINING_NAMES, *EVALUATION_NAMES)
    splits = {}
    for one in pictures:
        found = [part.lower() for part in PurePosixPath(one.filename).parts[:-1] if part.lower() in names]
        if not found:
            return {}
        splits[one.filename] = found[0]
    return splits if len({split in EVALUATION_NAMES for split in splits.values()}) == 2 else {}


def _batches(
    source: Source,
    *,
    archive: zipfile.ZipFile,
    pictures: list[zipfile.ZipInfo],
    labels: Mapping[str, str],
    splits: Mapping[str, str],
    limits: Limits,
    progress: Progress,
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    schema, rows = source.schema(), list[list[Any]]()
    total = held = 0
    checked = Checked(limits)
    for place, one in enumerate(pictures, 1):
        name = one.filename
        try:
            data = _bytes(archive, one, limits.picture_bytes)
            wrong = checked.wrong(data)
        except DAMAGE:
            data, wrong = b"", "it is damaged in the zip"
        total += len(data)
        if total > limits.unpacked_bytes:
            raise DataRefused(
                f"The pictures have more than {limits.unpacked_bytes / 1e9:.1f} GB; give fewer."
            )
        if wrong:
            source.faults.add(name, wrong, "give another picture, or leave it out")
        else:
            held += len(data)
            short = PurePosixPath(name).name
            rows.append(
                [name, {"bytes": data, "path": short}, labels[name], *([splits[name]] if splits else [])]
            )
        if rows and (len(rows) >= BATCH or held >= BATCH_BYTES or place == len(pictures)):
            progress(place / len(pictures), f"Looking at picture {place:,} of {len(pictures):,}")
            columns = zip(*rows, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            rows.clear()
            held = 0


def _bytes(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """What a file unpacks to, one byte more than `most` at most, whatever the archive says of its size."""
    with archive.open(member) as file:
        return file.read(most + 1)


@contextmanager
def packed(folder: Path, limits: Limits) -> Iterator[Path]:
    """A zip of its pictures and tables, of the same bytes each time; links are not followed.

    Raises:
        DataRefused: there are none, or more than is taken.
    """
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.name.lower().endswith((*ENDINGS, *TABLES)) and file.is_file() and not file.is_symlink()
    ]
    if not any(file.name.lower().endswith(ENDINGS) for file in files):
        raise DataRefused(
            f"The folder “{folder.name}” holds no pictures. Name one file of rows in it instead."
        )
    names = {file.relative_to(folder).as_posix(): file for file in files}
    with _zipped(names, folder.name, f"The folder “{folder.name}”", limits) as whole:
        yield whole


@contextmanager
def packed_files(files: Sequence[Path], limits: Limits) -> Iterator[Path]:
    """A zip of several pictures, and of a table of their labels if there is one.

    Raises:
        DataRefused: others are among them, two have one name, or they are more than is taken.
    """
    names: dict[str, Path] = {}
    for file in sorted(files, key=lambda one: one.name):
        if not file.name.lower().endswith((*ENDINGS, *TABLES)):
            raise DataRefused(
                f"“{file.name}” is no picture. Several files at once are pictures, with a CSV of their "
                "labels if you have one; give anything else by itself."
            )
        if file.name in names:
            raise DataRefused(f"Two of the files are named “{file.name}”. Give one of them another name.")
        names[file.name] = file
    pictures = [name for name in names if name.lower().endswith(ENDINGS)]
    if not pictures:
        raise DataRefused("Several tables cannot be read at once. Give one, and choose the others later.")
    with _zipped(names, f"{len(pictures)} pictures", "What you gave", limits) as whole:
        yield whole


@contextmanager
def _zipped(names: Mapping[str, Path], title: str, what: str, limits: Limits) -> Iterator[Path]:
    size = sum(file.stat().st_size for file in names.values())
    if len(names) > limits.members or size > limits.file_bytes:
        raise DataRefused(
            f"{what} has {len(names):,} pictures and {size / 1e6:,.0f} MB; at most "
            f"{limits.members:,} and {limits.file_bytes / 1e6:,.0f} MB are taken."
        )
    with tempfile.TemporaryDirectory(prefix="cdvft-") as work:
        whole = Path(work) / f"{title}.zip"
        with zipfile.ZipFile(whole, "w") as archive:
            for name, file in names.items():  # a name of its own date would be other bytes
                archive.writestr(zipfile.ZipInfo(name), file.read_bytes())
        yield whole
