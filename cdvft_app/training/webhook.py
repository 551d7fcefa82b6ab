"""Tell an address of the operator's, CDVFT_WEBHOOK, that a run has ended: its facts as JSON, posted once.

A hook that is slow, wrong or away costs nobody anything: a line in the log says so, and the run is as it is.
"""

from __future__ import annotations

import json
import logging
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from cdvft_app.settings.environment import environment
from cdvft_app.store.records import RunRecord

NAME = "CDVFT_WEBHOOK"
SECONDS = 10.0
_log = logging.getLogger(__name__)


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect: only the address that the operator named gets the request."""

    def redirect_request(self, *_: Any) -> None:
        return None


def notify(run: RunRecord) -> None:
    """Post the run's facts, if the operator named an address; never raises."""
    address = environment().webhook
    if not address:
        return
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        _log.warning("%s must be an address that begins with http:// or https://; nothing was sent.", NAME)
        return
    data = json.dumps(payload(run)).encode()
    request = Request(address, data, {"Content-Type": "application/json", "User-Agent": "cdvft-studio"})
    try:
        with build_opener(_NoRedirects).open(request, timeout=SECONDS):
            pass
    except HTTPError as error:  # the address may hold a secret: only its host is named
        _log.warning("%s: %s answered %d to the end of run %s.", NAME, parts.hostname, error.code, run.id)
    except (OSError, HTTPException, ValueError) as error:
        why = type(error).__name__
        _log.warning("%s: %s could not be told of the end of run %s: %s.", NAME, parts.hostname, run.id, why)


def payload(run: RunRecord) -> dict[str, Any]:
    """Return the facts that are posted: `label` is the method with its settings; times are seconds since
    1970."""
    return {
        "event": "run_ended",
        "run_id": run.id,
        "race_id": run.group_id,
        "name": run.name,
        "method": run.method,
        "label": run.settings.method.label(),
        "state": run.state,
        "reason": run.reason,
        "step": run.step,
        "total_steps": run.total_steps,
        "metric_name": run.metric_name,
        "metric": run.metric,
        "trainable_parameters": run.trainable_parameters,
        "seconds": run.seconds,
        "started": run.started,
        "ended": run.ended,
    }
