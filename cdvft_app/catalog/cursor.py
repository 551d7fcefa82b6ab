"""Numbers and bytes of a binary file, one after the other."""

from __future__ import annotations

import struct
from typing import Any


class Cursor:
    """Reads `content` on from `at`; numbers are little-endian, their codes those of `struct`."""

    def __init__(self, content: bytes, at: int = 0) -> None:
        self.content, self.at = content, at

    def number(self, code: str) -> Any:
        (found,) = struct.unpack_from(f"<{code}", self.content, self.at)
        self.at += struct.calcsize(f"<{code}")
        return found

    def bytes(self, count: int) -> bytes:
        found = self.content[self.at : self.at + count]
        if len(found) < count:
            raise ValueError(f"it ends at {len(self.content)}, before what should be at {self.at}")
        self.at += count
        return found
