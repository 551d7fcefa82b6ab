"""Who may change a run: whoever holds the token it was started with. Only the token's hash is kept."""

from __future__ import annotations

import hashlib
import hmac

TOKEN_LIMIT = 200


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def owns(token: object, kept_hash: str | None) -> bool:
    """Compares in constant time; a run without a hash is nobody's."""
    if not isinstance(token, str) or len(token) > TOKEN_LIMIT or kept_hash is None:
        return False
    return hmac.compare_digest(token_hash(token), kept_hash)
