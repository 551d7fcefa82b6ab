"""The machines that Jobs of the hub run on, with their prices of today: the hub is asked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from cdvft_app.catalog.hub import endpoint, is_offline
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.settings import InvalidChoice

KEPT_SECONDS = 3600.0
MAX_MINUTES = 24 * 60
OUT_OF_REACH = (
    "The hub cannot be reached from here, so no Job can be sent. What trains here does not need it."
)

_known: dict[str, tuple[float, list[Hardware]]] = {}  # by the hub's address: when it was asked, the answer


@dataclass(frozen=True)
class Hardware:
    """A flavor of Jobs; dollars a minute."""

    flavor: str
    title: str
    dollars: float

    def most(self, minutes: int) -> str:
        """Describe the maximum cost of a Job of so many minutes."""
        hour, most = 60 * self.dollars, minutes * self.dollars
        return f"{self.title}: {hour:.2f} dollars an hour, at most {most:.2f} for {minutes} minutes"


def offers(api: Any) -> list[Hardware]:
    """Return all flavors, the cheapest first."""
    found = [
        Hardware(one.name, one.pretty_name, one.unit_cost_usd / (60 if one.unit_label == "hour" else 1))
        for one in api.list_jobs_hardware()
    ]
    return sorted(found, key=lambda one: one.dollars)


def known_offers() -> list[Hardware]:
    """Return the `offers` of the hub, asked once an hour at most; without a token.

    Raises:
        ResultsError: it cannot be asked.
    """
    if is_offline():
        raise ResultsError(
            "HF_HUB_OFFLINE is set, so no Job can be sent to the hub. Unset it and start again."
        )
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError

    address = endpoint()
    asked, found = _known.get(address, (0.0, []))
    if not found or time.monotonic() - asked > KEPT_SECONDS:
        try:
            found = offers(HfApi(endpoint=address, token=False))
        except (HTTPError, OSError):
            raise ResultsError(OUT_OF_REACH) from None
        _known[address] = time.monotonic(), found
    return found


def hardware(among: list[Hardware], flavor: str) -> Hardware:
    """Return the hardware of this name.

    Raises:
        InvalidChoice: there is none.
    """
    found = {one.flavor: one for one in among}
    if flavor not in found:
        raise InvalidChoice(f"flavor: got {flavor[:40]!r}; there are {', '.join(found)}.")
    return found[flavor]


def check_minutes(minutes: object) -> None:
    """Refuse a time that no Job may take.

    Raises:
        InvalidChoice: no Job may take so long.
    """
    if isinstance(minutes, bool) or not isinstance(minutes, int) or not 1 <= minutes <= MAX_MINUTES:
        raise InvalidChoice(f"minutes: got {str(minutes)[:40]}; a Job may take 1 to {MAX_MINUTES}.")
