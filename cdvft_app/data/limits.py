"""Limits on uploaded data: bytes, rows, columns, pictures; narrower on a public server."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cdvft_app.settings.environment import environment


@dataclass(frozen=True)
class Limits:
    """`total_bytes` is of all files of one owner and `keep_hours` how long one is kept after its last use,
    None without end; `unpacked_bytes` is of an archive's files or of a Parquet file's rows, `pixels` of a
    picture's longer side, `all_pixels` of all pictures together."""

    file_bytes: int = 2 * 2**30
    total_bytes: int | None = None
    keep_hours: float | None = None
    rows: int = 2_000_000
    columns: int = 200
    cell_characters: int = 100_000
    members: int = 50_000
    unpacked_bytes: int = 4 * 2**30
    picture_bytes: int = 20 * 2**20
    pixels: int = 4096
    all_pixels: int = 10**12
    ratio: int = 200  # unpacked to packed, beyond which a file is taken for a bomb


LIMITS = Limits()
PUBLIC = Limits(
    file_bytes=8 * 2**20,
    total_bytes=32 * 2**20,
    rows=50_000,
    columns=50,
    cell_characters=20_000,
    members=5_000,
    unpacked_bytes=64 * 2**20,
    picture_bytes=4 * 2**20,
    all_pixels=100_000_000,
)
MAX_PASTED = 400_000  # characters


def limits() -> Limits:
    """Those of a person's own machine, or of a public one, which keeps rows as long as it keeps uploads."""
    return replace(PUBLIC, keep_hours=environment().upload_hours) if environment().public else LIMITS
