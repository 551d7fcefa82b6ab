"""Whose time is counted behind each kind of proxy: the visitor's own, and nobody's who is made up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from uvicorn import Config

from cdvft_app.settings.environment import NAMES, environment
from cdvft_app.ui.serving import trust_proxies
from cdvft_app.ui.shared.viewing import visitor_of

EDGE, REAL, FORGED = "172.70.1.1", "203.0.113.7", "198.51.100.9"
CLOUDFLARE = "173.245.48.0/20, 172.64.0.0/13"
KINDS = {
    # environment, peer, headers that arrive, whose time is counted
    "bare": ({"CDVFT_PUBLIC": "1"}, REAL, {"x-forwarded-for": FORGED}, REAL),
    "nginx that appends": (
        {"CDVFT_TRUSTED_PROXIES": "127.0.0.1"}, "127.0.0.1", {"x-forwarded-for": f"{FORGED}, {REAL}"}, REAL,
    ),
    "past nginx": ({"CDVFT_TRUSTED_PROXIES": "127.0.0.1"}, REAL, {"x-forwarded-for": FORGED}, REAL),
    "Cloudflare before nginx": (
        {"CDVFT_TRUSTED_PROXIES": f"127.0.0.1, {CLOUDFLARE}"}, "127.0.0.1",
        {"x-forwarded-for": f"{FORGED}, {REAL}, {EDGE}", "cf-connecting-ip": REAL}, REAL,
    ),
    "past Cloudflare": (
        {"CDVFT_TRUSTED_PROXIES": CLOUDFLARE}, REAL,
        {"x-forwarded-for": FORGED, "cf-connecting-ip": FORGED}, REAL,
    ),
    "Space, with a made-up part": (
        {"SPACE_ID": "you/studio"}, "10.16.3.80", {"x-forwarded-for": f"{FORGED}, 10.0.0.1, {REAL}"}, REAL,
    ),
    "Space, IPv6": (
        {"SPACE_ID": "you/studio"}, "10.16.3.80", {"x-forwarded-for": "2001:db8:1:2::9"}, "2001:db8:1:2::/64",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_address_that_counts(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables, peer, headers, counted = KINDS[kind]
    for name in (*NAMES, "FORWARDED_ALLOW_IPS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"CDVFT_PUBLIC": "1", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # as the image of a Space may have set it
    trust_proxies(environment())
    assert visitor_as_served(peer, headers) == f"address {counted}"


def visitor_as_served(peer: str, headers: dict[str, str]) -> str | None:
    """As the application sees the request that uvicorn, configured as Gradio does, hands on."""
    seen: list[str | None] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(visitor_of(Request(scope)))

    config = Config(application, log_config=None)
    config.load()
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    app = type("App", (), {"cookie_id": "0", "tokens": {}})
    scope = {"type": "http", "method": "GET", "path": "/", "scheme": "http", "headers": pairs,
             "client": (peer, 4000), "app": app}  # fmt: skip
    asyncio.run(config.loaded_app(scope, None, None))  # type: ignore[arg-type]
    return seen[0]
