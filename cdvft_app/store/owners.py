"""Who may change a run: whoever holds the token it was started with.

A browser holds the token, and its cookie the token's `viewer_key`, which finds the runs and changes none.
What is kept is the key's hash: neither a history nor a run's file lets anybody present what a browser does.
"""

from __future__ import annotations

import hashlib
import hmac
import re

TOKEN_LIMIT = 200
KEY = re.compile(r"[0-9a-f]{64}")
_KEPT = "2:"  # tells a kept hash from a key, which earlier formats kept as it was


def viewer_key(token: str) -> str:
    """What a browser's cookie presents."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def kept_hash(key: str) -> str:
    """What is kept of a key."""
    return _KEPT + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def token_hash(token: str) -> str:
    """What is kept of a token."""
    return kept_hash(viewer_key(token))


def kept(found: str | None) -> str | None:
    """What a history or a folder has of an owner, as it is kept now: earlier formats kept the key."""
    return kept_hash(found) if found and KEY.fullmatch(found) else found


def owns(token: object, kept_hash: str | None) -> bool:
    """Compares in constant time; a run without a hash is nobody's."""
    if not isinstance(token, str) or len(token) > TOKEN_LIMIT or kept_hash is None:
        return False
    return hmac.compare_digest(token_hash(token), kept_hash)
