"""The operator of a server, who is known by a key."""

from __future__ import annotations

import hmac

from cdvft_app.public.guessing import Guesses
from cdvft_app.public.visitors import network
from cdvft_app.settings.environment import environment

_guesses = Guesses("keys")


def is_operator(key: object, address: str) -> bool:
    """Return whether this is CDVFT_OPERATOR_KEY; never without one. Compares in constant time.

    Raises:
        TooManyGuesses: too many wrong ones came from this address, or from all.
    """
    operator_key = environment().operator_key.get_secret_value()
    if not operator_key or not isinstance(key, str):
        return False
    sent = key.encode("utf-8", "surrogatepass")
    return _guesses.judge(network(address), key, lambda: hmac.compare_digest(sent, operator_key.encode()))
