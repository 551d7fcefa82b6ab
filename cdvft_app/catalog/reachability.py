"""Whether the Hugging Face hub answers: asked quickly, and never for long."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass

STATUS_TIMEOUT = 2.0  # seconds, all in all: looking the name up included, which no socket timeout covers
STATUS_KEPT = 60.0  # seconds
OFFLINE_RECIPES = "The recipes sentiment, mnist, digits, addresses and sql need no hub."

# A child process is asked, because it can be killed wherever it hangs.
_ASK = """
import sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], method="HEAD", headers={"User-Agent": "cdvft"})
try:
    print(urllib.request.urlopen(request, timeout=float(sys.argv[2])).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


@dataclass(frozen=True)
class HubStatus:
    """Whether the hub answers, in a sentence for the page."""

    reachable: bool
    sentence: str


_known: dict[str, tuple[float, HubStatus]] = {}  # by address: when it was asked, and the answer


def endpoint() -> str:
    """The hub's address: HF_ENDPOINT, else the hub client's own."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) tells the hub client to stay off the network."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in ("1", "ON", "YES", "TRUE")


def hub_status() -> HubStatus:
    """Whether the hub answers; takes 2 seconds at most and is asked once a minute at most."""
    if is_offline():
        return HubStatus(False, f"HF_HUB_OFFLINE is set, so the hub is not asked. {OFFLINE_RECIPES}")
    address = endpoint()
    asked_at, status = _known.get(address, (0.0, None))
    if status is None or time.monotonic() - asked_at > STATUS_KEPT:
        status = _ask(address)
        _known[address] = (time.monotonic(), status)
    return status


def last_status() -> HubStatus | None:
    """What was found when the hub was last asked, however long ago; None before. Asks nobody."""
    if is_offline():
        return hub_status()
    return _known[endpoint()][1] if endpoint() in _known else None


def _ask(address: str) -> HubStatus:
    try:
        answer = subprocess.run(
            [sys.executable, "-c", _ASK, address, str(STATUS_TIMEOUT)],
            capture_output=True,
            text=True,
            timeout=STATUS_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return HubStatus(
            False, f"The hub did not answer within {STATUS_TIMEOUT:.0f} seconds. {OFFLINE_RECIPES}"
        )
    code = answer.stdout.strip()
    if not code.isdigit():
        return HubStatus(False, f"The hub cannot be reached from here. {OFFLINE_RECIPES}")
    if int(code) >= 500:
        return HubStatus(False, f"The hub is out of order (it answers {code}). {OFFLINE_RECIPES}")
    return HubStatus(True, "The hub answers.")
