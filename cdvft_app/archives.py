"""ZIP archives that strangers made: nothing that they say of themselves is believed."""

from __future__ import annotations

import stat
import zipfile
import zlib
from pathlib import PurePosixPath

from cdvft_app.errors import UserError

# What zipfile and zlib raise, who trust what an archive says of itself.
DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError)
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others unpack without a bound to memory


def require_safe(
    archive: zipfile.ZipFile, *, members: int, unpacked_bytes: int, refused: type[UserError]
) -> None:
    """Raise `refused` for an archive that holds more than is taken, leads elsewhere, or is packed unusually.

    Args:
        archive: none of it is unpacked.
        members, unpacked_bytes: the most that are taken.
        refused: the error, which gets a sentence.
    """
    every = archive.infolist()
    if len(every) > members:
        raise refused(f"The zip has {len(every):,} files; at most {members:,} are taken.")
    if (size := sum(one.file_size for one in every)) > unpacked_bytes:
        raise refused(
            f"The zip unpacks to {size / 1e6:,.0f} MB; at most {unpacked_bytes / 1e6:,.0f} MB are taken."
        )
    for one in every:
        name, path = short(one.filename), PurePosixPath(one.filename)
        if stat.S_ISLNK(one.external_attr >> 16):
            raise refused(f"The zip has a symbolic link, {name}. Pack the files themselves.")
        if path.is_absolute() or ".." in path.parts:
            raise refused(f"The zip has a file {name}, which leads elsewhere. Pack the folder anew.")
        if one.flag_bits & 1:
            raise refused(f"{name} in the zip is encrypted. Pack it without a password.")
        if one.compress_type not in PACKED:
            raise refused(
                f"{name} in the zip is packed in a way that is not read here. Pack it as a usual zip, by "
                "“Deflate”."
            )


def short(name: str) -> str:
    """Return a member's name in quotation marks, for a sentence: printable, and of 80 characters at most."""
    printable = "".join(one if one.isprintable() else "?" for one in name)
    return f"“{printable if len(printable) <= 80 else printable[:77] + '...'}”"
