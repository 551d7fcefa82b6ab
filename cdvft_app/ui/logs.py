"""The server's log, on standard error: text for people, or with CDVFT_LOG=json an object a line for programs.

It names runs by their ids and visitors by a hash that holds for this process, never tokens or addresses.
"""

from __future__ import annotations

import hmac
import json
import logging
import re
import secrets
import time

from cdvft_app.payloads.page import ScriptError
from cdvft_app.settings.environment import environment

FIELDS = ("run_id", "state", "visitor", "seconds")  # that a record may have as `extra`
MAX_SCRIPT_ERRORS = 100  # of different texts, since anybody can send them
_OF_UVICORN = ("uvicorn", "uvicorn.error", "uvicorn.access")
_key = secrets.token_bytes(32)
_log = logging.getLogger(__name__)
_script_errors: set[str] = set()


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        told |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


def set_up() -> None:
    """Set up the log of the whole process; call it before anything is logged.

    Raises:
        InvalidChoice: a variable of the environment means nothing.
    """
    kind = environment().log
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if kind == "json" else logging.Formatter("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("cdvft_app").setLevel(logging.INFO if kind == "json" else logging.WARNING)


def adopt_uvicorn() -> None:
    """Have its lines go the same way, once it has set up its own."""
    for name in _OF_UVICORN:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def script_error(told: ScriptError) -> None:
    """Log it, once for each text; addresses are left out: they may name runs and tokens."""
    error, where = _one_line(told["error"], 300), _one_line(told.get("where", ""), 80)
    text = f"{error} ({where})" if where else error
    if error and text not in _script_errors and len(_script_errors) < MAX_SCRIPT_ERRORS:
        _script_errors.add(text)
        _log.warning("A script of the page failed: %s", text)


def _one_line(given: str, most: int) -> str:
    text = re.sub(r"\w+://\S+", "(an address)", given[: 4 * most])
    return "".join(letter if letter.isprintable() else " " for letter in text)[:most].strip()


def visitor_hash(visitor: str | None) -> str | None:
    """Return a visitor's name as a hash for the log."""
    return visitor and hmac.digest(_key, visitor.encode("utf-8", "surrogatepass"), "sha256").hex()[:12]
