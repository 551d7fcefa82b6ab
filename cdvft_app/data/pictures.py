"""Pictures: a zip with one folder a class, or with a CSV that names each one's label."""

from __future__ import annotations

import base64
import io
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cdvft_app.archives import DAMAGE, short
from cdvft_app.catalog import picture_labels
from cdvft_app.catalog.uploaded import EVALUATION_NAMES, IMAGE, TRAINING_NAMES
from cdvft_app.data.row_errors import RowErrors
from cdvft_app.data.source import DataRefused, Limits, Source, record_batch
from cdvft_app.data.source import limits as limits_now
from cdvft_app.data.zip_file import PICTURES, TABLES, bytes_of, members_of
from cdvft_app.progress import Progress
from cdvft_app.public import intake

if TYPE_CHECKING:
    import pyarrow as pa
    from PIL import Image


_DECODERS = tuple(f"PIL.{one}ImagePlugin" for one in ("Png", "Jpeg", "WebP", "Bmp", "Gif"))
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
LABEL, SPLIT = "label", "split"
BATCH, BATCH_BYTES = 100, 16 * 2**20
MAX_TABLE = 20 * 2**20  # bytes of a CSV of labels


class UnusablePicture(Exception):
    """A picture cannot be used; the text says why, as the rest of a sentence: "it is empty"."""


@dataclass
class PictureReader:
    """Decodes pictures one after the other and counts their pixels, of which there is a limit together."""

    limits: Limits
    pixels: int = 0

    def read(self, data: bytes) -> Image.Image:
        """Decode a picture's bytes.

        Raises:
            UnusablePicture: they are no whole picture, or a larger one than is taken.
            DataRefused: with this one, the pictures have more pixels together than are taken.
        """
        from PIL import Image

        limits = self.limits
        if not data:
            raise UnusablePicture("it is empty")
        if len(data) > limits.picture_bytes:
            raise UnusablePicture(f"it has more than {limits.picture_bytes / 1e6:.0f} MB")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                picture = Image.open(io.BytesIO(data), formats=FORMATS)
                width, height = picture.size
                if max(width, height) > limits.pixels:
                    raise UnusablePicture(
                        f"it has {width:,} x {height:,} pixels, more than {limits.pixels:,} a side"
                    )
                self._count(width * height)
                picture.load()
                return picture
        except (OSError, SyntaxError, ValueError, EOFError, zlib.error, Image.DecompressionBombError):
            raise UnusablePicture(
                f"it cannot be read as {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
            ) from None

    def fault(self, data: bytes) -> str | None:
        """Return why a picture's bytes are unusable, None where they are not; `DataRefused` as `read`."""
        try:
            self.read(data)
        except UnusablePicture as error:
            return str(error)
        return None

    def _count(self, pixels: int) -> None:
        self.pixels += pixels
        if self.pixels > self.limits.all_pixels:
            raise DataRefused(
                f"The pictures have more than {self.limits.all_pixels / 1e6:,.0f} million pixels together, "
                "the most that are taken. Make them smaller, or give fewer."
            )


def read_pictures(path: Path, limits: Limits, progress: Progress, labelled: bool = True) -> Source:
    """Read pictures from a zip after checks of it; nothing of it is unpacked to disk.

    Unless they are to be learned from (`labelled`), they need no labels.
    """
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGE:
        raise DataRefused(f"“{path.name}” is no whole zip file. Pack it again.") from None
    faults = RowErrors()
    members = members_of(archive, limits, faults)
    pictures = [one for one in members if one.filename.lower().endswith(PICTURES)]
    tables = [one for one in members if one.filename.lower().endswith(TABLES)]
    for one in members:
        if one not in pictures and one not in tables:
            faults.add(
                one.filename, "it is no picture", f"leave it out; pictures end in {', '.join(PICTURES)}"
            )
    if not pictures:
        raise DataRefused(
            f"“{path.name}” holds no pictures. Give a zip with one folder of pictures a class, or of files "
            "of rows."
        )
    labels: dict[str, str] = {}
    by_name = False
    try:
        if tables:
            labels = _labels_of_table(archive, tables, pictures)
        else:
            names = [one.filename for one in pictures]
            labels, by_name = picture_labels.of_folders_or_names(names, (*TRAINING_NAMES, *EVALUATION_NAMES))
    except (DataRefused, picture_labels.NoLabels) as error:
        if labelled:
            raise DataRefused(str(error)) from None
    splits = _splits(pictures)
    columns = (IMAGE, *((LABEL,) if labels else ()), *((SPLIT,) if splits else ()))

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
            f"The classes are what the files' names begin with: {short(example)} is of "
            f"“{next(iter(labels.values()))}”."
        )
    return source


def _labels_of_table(
    archive: zipfile.ZipFile, tables: list[zipfile.ZipInfo], pictures: list[zipfile.ZipInfo]
) -> dict[str, str]:
    """Return each picture's label, by its name in the zip, from the one CSV with file names and labels.

    Raises:
        DataRefused, NoLabels: there are several tables, or it is damaged or has other columns.
    """
    if len(tables) > 1:
        names = ", ".join(short(one.filename) for one in tables[:5]) + (", …" if tables[5:] else "")
        raise DataRefused(
            f"{len(tables)} tables are beside the pictures ({names}). Give one, with the columns file and "
            "label."
        )
    try:
        data = bytes_of(archive, tables[0], MAX_TABLE)
    except DAMAGE:
        raise DataRefused(f"{short(tables[0].filename)} is damaged in the zip. Pack it again.") from None
    return picture_labels.of_table(data, short(tables[0].filename), [one.filename for one in pictures])


def _splits(pictures: list[zipfile.ZipInfo]) -> dict[str, str]:
    """Return each picture's split, by a folder above its own; empty where not all have one."""
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
    schema, rows = source.schema(), list[list[Any]]()
    total = held = 0
    reader = PictureReader(limits)
    for place, one in enumerate(pictures, 1):
        name = one.filename
        try:
            data = bytes_of(archive, one, limits.picture_bytes)
            wrong = reader.fault(data)
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
            more = [one[name] for one in (labels, splits) if one]
            rows.append([name, {"bytes": data, "path": short}, *more])
        if rows and (len(rows) >= BATCH or held >= BATCH_BYTES or place == len(pictures)):
            progress(place / len(pictures), f"Looking at picture {place:,} of {len(pictures):,}")
            yield record_batch(schema, rows)
            rows.clear()
            held = 0


def as_png_in_child(data: bytes) -> bytes:
    """Return an untrusted picture as a PNG that is made anew of its RGB pixels; it is decoded in a child.

    Raises:
        DataRefused, intake.TooMuch: why it cannot be used.
    """
    from PIL import Image

    with tempfile.TemporaryDirectory(prefix="cdvft-") as folder:
        given, pixels = Path(folder) / "given", Path(folder) / "pixels"
        given.write_bytes(data)
        width, height = intake.read_in_child(
            write_pixels,
            str(given),
            str(pixels),
            asdict(limits_now()),
            limits=intake.child_limits(),
            imports=_DECODERS,
            refusals=(DataRefused,),
        )
        picture = Image.frombytes("RGB", (int(width), int(height)), pixels.read_bytes())
    return as_png(picture)


def write_pixels(given: str, pixels: str, limits: dict[str, Any], progress: Progress) -> tuple[int, int]:
    """In the child: write a picture's pixels, row by row, into a file; return width and height."""
    try:
        picture = PictureReader(Limits(**limits)).read(Path(given).read_bytes()).convert("RGB")
    except UnusablePicture as error:
        raise DataRefused(f"The image cannot be used: {error}. Give another one.") from None
    Path(pixels).write_bytes(picture.tobytes())
    return picture.size


def as_png(picture: Image.Image) -> bytes:
    """Return the bytes of the picture as a PNG file."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def as_data_url(picture: Image.Image) -> str:
    """Return the picture as PNG in a data URL, for the `src` of an `img`."""
    return data_url(as_png(picture))


def thumbnail(picture: Image.Image, side: int) -> str:
    """Return the picture in at most `side` pixels a side, as PNG in a data URL; a small one keeps its pixels,
    which are enlarged."""
    from PIL import Image

    times = max(1, side // max(picture.size))
    small = picture.resize((times * picture.width, times * picture.height), Image.Resampling.NEAREST)
    small.thumbnail((side, side))
    return as_data_url(small)


def data_url(png: bytes) -> str:
    """Return the bytes of a PNG file as a data URL."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
