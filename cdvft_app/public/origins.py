"""Which names this server answers to, and whether a page of another site asks.

`AllowedHosts` checks Host headers, against DNS rebinding: a foreign page whose name leads here. Source: "DNS
rebinding" in the OWASP web security testing guide; the check is that of Jupyter's servers.

`SameOrigin` is against cross-site request forgery (CSRF) and cross-site reads. A browser says which page
asks in `Origin`, or where it sends none in `Sec-Fetch-Site`; no page forges either. Programs such as curl
and gradio_client send neither, hold no cookies of a person's, and are answered. Source: "Cross-Site Request
Forgery Prevention" of OWASP's cheat sheets: standard headers, SameSite cookies, and a custom header, which
no other site can add to a request.
"""

from __future__ import annotations

import hmac
import re
import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cdvft_app.settings.environment import LOOPBACK, Environment, environment

MAX_QUOTED = 80


def allowed(name: str, known: Environment, shared_by: str | None = None) -> bool:
    """Return whether a Host header may hold this.

    Args:
        name: the header, with or without a port.
        known: whose `hosts` are allowed beside those of loopback, of the Space, and of its own address.
        shared_by: the link by which it is shared.
    """
    if "*" in known.hosts:
        return True
    names = {*LOOPBACK, *known.hosts, *known.space_hosts, known.bound_to, _host(shared_by or "")}
    return _without_port(name) in {_without_port(one) for one in names if one}


class AllowedHosts:
    """Refuses requests to names that are not `allowed`, be it in Host or in what a proxy says that Host was.

    Gradio takes the latter for the page's own address, whoever wrote it. Before a Space the hub's proxies do.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers, known, shared_by = Headers(scope=scope), environment(), scope["app"].get_blocks().share_url
        told = [] if known.space else headers.getlist("x-forwarded-host")
        forwarded = [one.strip() for value in told for one in value.split(",")]
        for name in [*(headers.getlist("host") or [""]), *forwarded]:
            if not allowed(name, known, shared_by):
                await PlainTextResponse(host_refusal(name), 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def host_refusal(name: str) -> str:
    quoted = ascii(_without_port(name)[:MAX_QUOTED])
    return (
        f"This server does not answer to the name {quoted}. Whoever runs it can allow it: set CDVFT_HOSTS "
        "to the name, with commas between several."
    )


def _host(address: str) -> str:
    """example.org of "https://example.org/page"."""
    return address.partition("://")[2].partition("/")[0]


def _without_port(name: str) -> str:
    name = name.lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return (name.rpartition(":")[0] if name.count(":") == 1 else name).rstrip(".")


PAGE_HEADER = "x-cdvft-page"
OTHER_SITE = "This server answers its own page and programs alone; this request came from {origin}. "
OF_A_PROXY = (
    "If that is the page's own address, the proxy in between must hand on the name and port that the browser "
    "asked for: as Host, or as X-Forwarded-Host with CDVFT_HOSTS set to the name."
)
NO_PAGE = (
    f"A request with this Space's login needs the header Origin, or {PAGE_HEADER} with what the page's meta "
    "tag cdvft-page holds."
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SAME_SITE = re.compile(r";\s*samesite=[^;]*", re.IGNORECASE)
_LOGIN_COOKIES = ("access-token-", "session")  # Gradio's own login, and the hub's
_process_key = secrets.token_bytes(32)


class SameOrigin:
    """Refuses what a page of another origin asks, and keeps cookies from such requests by SameSite=Lax.

    Another site may link to this one: a page that is opened is answered, what it changes or reads is not.
    In a Space's frame, whose parent is another site, browsers would drop Lax cookies. There they stay as they
    are, and a request that bears a login must show that it is the page's, by a header of the browser's or by
    `page_token`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        known = environment()
        if sentence := refusal(scope, known, scope["app"].get_blocks().share_url):
            answer = JSONResponse({"detail": sentence}, 403, {"connection": "close", "vary": "Origin"})
            await answer(scope, receive, send)
            return

        async def with_lax_cookies(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [_lax(pair) for pair in message.get("headers", ())]}
            await send(message)

        await self._app(scope, receive, send if known.space else with_lax_cookies)


def refusal(scope: Scope, known: Environment, shared_by: str | None = None) -> str | None:
    """Return why this request is not answered; None where it is."""
    headers = Headers(scope=scope)
    if origins := headers.getlist("origin"):
        if all(_is_own(origin, scope, headers, known, shared_by) for origin in origins):
            return None
        return OTHER_SITE.format(origin=ascii(", ".join(origins)[:MAX_QUOTED])) + OF_A_PROXY
    site = headers.get("sec-fetch-site")
    if site in ("cross-site", "same-site"):
        return None if _opens_the_page(scope, headers) else OTHER_SITE.format(origin="a page of another site")
    if site is None and known.space and _asks(scope) and _bears_login(headers):
        shown = headers.get(PAGE_HEADER, "").encode("utf-8", "surrogatepass")
        return None if hmac.compare_digest(shown, page_token(known).encode()) else NO_PAGE
    return None


def page_token(known: Environment) -> str:
    """Return what the page's own script sends along on a Space; only who can read the page knows it."""
    key = known.oauth_secret.get_secret_value().encode() or _process_key
    return hmac.digest(key, b"cdvft page", "sha256").hex()


def _is_own(origin: str, scope: Scope, headers: Headers, known: Environment, shared_by: str | None) -> bool:
    """Return whether the origin, "https://example.org:8443", is what was asked: its scheme, name and port."""
    found = _place(origin)
    secure = scope["scheme"] in ("https", "wss")  # else a proxy may have taken TLS away without saying so
    if found is None or (secure and not origin.startswith("https:")):
        return False
    scheme = origin.partition(":")[0]
    forwarded = [one.strip() for one in headers.get("x-forwarded-host", "").split(",")]
    names = [headers.get("host", "")]
    # No page of another site can send this header: it would have to ask first, and its asking is refused.
    names += [one for one in forwarded if allowed(one, known, shared_by)]
    names += known.space_hosts
    return found in {_place(f"{scheme}://{name}") for name in names if name}


def _place(origin: str) -> tuple[str, int] | None:
    """Name and port of an origin; None for what is none, such as "null"."""
    try:
        parts = urlsplit(origin)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if not parts.hostname or port is None or parts.path or parts.query or parts.fragment or parts.username:
        return None
    return parts.hostname.rstrip("."), port


def _asks(scope: Scope) -> bool:
    """Return whether it changes something, or reads what may be a visitor's own; else it is the page or a
    file."""
    last = scope["path"].rstrip("/").rpartition("/")[2]
    return (
        scope["type"] == "websocket"
        or scope["method"] not in ("GET", "HEAD", "OPTIONS")
        or "/gradio_api/" in scope["path"]
        or last in ("config", "logout")
    )


def _opens_the_page(scope: Scope, headers: Headers) -> bool:
    return not _asks(scope) and headers.get("sec-fetch-mode") == "navigate"


def _bears_login(headers: Headers) -> bool:
    return any(name.startswith(_LOGIN_COOKIES) for name in cookie_parser(headers.get("cookie", "")))


def _lax(pair: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    name, value = pair
    if name.lower() != b"set-cookie":
        return pair
    return name, (_SAME_SITE.sub("", value.decode("latin-1")) + "; SameSite=Lax").encode("latin-1")
