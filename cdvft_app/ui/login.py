"""Gradio's own login to the page, by a file of names and passwords."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from cdvft_app.public.guessing import Guesses, TooManyGuesses
from cdvft_app.public.visitors import network
from cdvft_app.settings.environment import environment

VARIABLE = "CDVFT_LOGINS"
_asking: ContextVar[str] = ContextVar("asking", default="")  # from which network, as Gradio does not tell


def logins() -> Callable[[str, str], bool] | None:
    """Return the `auth` of `launch`: whether a name and password are a line of the file in CDVFT_LOGINS.

    Each line is `name:password`. The file is read at every login, so that a class can grow while it lasts.

    Returns:
        None where the variable is not set: anybody may open the page.

    Raises:
        ValueError: the file cannot be read, holds no login, or others than its owner may read it.
    """
    file = environment().logins
    if not file:
        return None
    if not _known(file):
        raise ValueError(f"{VARIABLE}: {file} has no line such as name:password.")

    guesses = Guesses("passwords")

    def allowed(name: str, password: str) -> bool:
        def is_line() -> bool:
            try:
                held = _known(file).get(name, "")
            except ValueError:
                return False  # it was there when the page started
            return secrets.compare_digest(held.encode(), password.encode()) and bool(held)

        try:
            return guesses.judge(_asking.get(), f"{name}:{password}", is_line)
        except TooManyGuesses as guessed:
            raise HTTPException(429, str(guessed), {"retry-after": str(guessed.seconds)}) from None

    return allowed


class AddressOfLogin:
    """Tells `logins` where a request comes from."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _asking.set(network((scope.get("client") or ("",))[0]))
        await self._app(scope, receive, send)


def _known(file: Path) -> dict[str, str]:
    try:
        if os.name == "posix" and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ValueError(f"{VARIABLE}: others may read {file}; run `chmod 600 {file}` first.")
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"{VARIABLE}: {file} cannot be read ({error.strerror}).") from None
    pairs = (line.partition(":") for line in lines if not line.startswith("#"))
    return {name.strip(): password for name, colon, password in pairs if colon and name.strip() and password}
