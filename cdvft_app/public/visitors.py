"""Whose time is counted: an account, else a code that the operator gave out, else an address.

Never a token that the caller makes up. An address is that of the connection; uvicorn puts what proxies say in
its place only for those in `Environment.proxies`. Of IPv6 the network counts: one line has a whole /64.
"""

from __future__ import annotations

import hmac
from ipaddress import IPv6Address, ip_address

from cdvft_app.public.guessing import Guesses, TooManyGuesses
from cdvft_app.settings.environment import Environment

CODE_COOKIE = "cdvft-code"
CODE_HEADER = "x-cdvft-code"  # for programs

_guesses = Guesses("codes")


def visitor(known: Environment, account: str | None, code: str, address: str) -> str:
    """Return the visitor as the operator reads it: "account ada", "code blue-7", "address 192.0.2.1"."""
    if account:
        return f"account {account}"
    try:
        if is_code(known, code, address):
            return f"code {code}"
    except TooManyGuesses:  # `is_code` tells whoever asks for it
        pass
    return f"address {network(address)}"


def is_code(known: Environment, code: str, address: str) -> bool:
    """Return whether the operator gave this code out.

    Raises:
        TooManyGuesses: too many wrong ones came from this address, or from all.
    """
    sent = code.encode("utf-8", "surrogatepass")

    def known_code() -> bool:
        return any([hmac.compare_digest(sent, one.encode()) for one in known.codes])  # all, in the same time

    return bool(known.codes and code) and _guesses.judge(network(address), code, known_code)


def network(address: str) -> str:
    """Return an address as it is counted: of IPv6 the /64 that one line has."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64] or "unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return str(parsed)
