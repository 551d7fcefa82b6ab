"""Who may open the page: Gradio's own login, by a file of names and passwords."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

VARIABLE = "CDVFT_LOGINS"


def logins() -> Callable[[str, str], bool] | None:
    """What `launch(auth=...)` takes: whether a name and password are a line of the file in CDVFT_LOGINS.

    Each line is `name:password`. The file is read at every login, so that a class can grow while it lasts.

    Returns:
        None where the variable is not set: anybody may open the page.

    Raises:
        ValueError: the file cannot be read, holds no login, or others than its owner may read it.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    file = Path(named).expanduser()
    if not _known(file):
        raise ValueError(f"{VARIABLE}: {named} has no line such as name:password.")

    def allowed(name: str, password: str) -> bool:
        try:
            held = _known(file).get(name, "")
        except ValueError:
            return False  # it was there when the page started
        return bool(held) and secrets.compare_digest(held.encode(), password.encode())

    return allowed


def _known(file: Path) -> dict[str, str]:
    try:
        if os.name == "posix" and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ValueError(f"{VARIABLE}: others may read {file}; run `chmod 600 {file}` first.")
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"{VARIABLE}: {file} cannot be read ({error.strerror}).") from None
    pairs = (line.partition(":") for line in lines if not line.startswith("#"))
    return {name.strip(): password for name, colon, password in pairs if colon and name.strip() and password}
