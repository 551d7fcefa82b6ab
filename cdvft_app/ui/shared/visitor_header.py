"""Whose time is counted, carried in a header where this program calls itself for somebody else.

A tool that an agent calls asks its endpoint over loopback. The header is signed with a key of this program,
and never sent to anybody.
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import quote, unquote

HEADER = "x-cdvft-visitor"
_KEY = secrets.token_bytes(32)


def signed(visitor: str) -> str:
    """The header's value."""
    name = quote(visitor)
    return f"{name}.{_signature(name)}"


def visitor_in(value: str | None) -> str | None:
    """The visitor that this program wrote; None for anything else."""
    name, _, signature = (value or "").rpartition(".")
    sent = signature.encode("utf-8", "surrogatepass")
    return unquote(name) if name and hmac.compare_digest(sent, _signature(name).encode()) else None


def _signature(name: str) -> str:
    return hmac.digest(_KEY, name.encode("utf-8", "surrogatepass"), "sha256").hex()
