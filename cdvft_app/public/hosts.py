"""Which Host headers this server answers to, against DNS rebinding: a foreign page whose name leads here.

Source: "DNS rebinding" in the OWASP web security testing guide; the check is that of Jupyter's servers.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cdvft_app.settings.environment import LOOPBACK, Environment, environment

MAX_QUOTED = 80


def allowed(name: str, known: Environment, shared_by: str | None = None) -> bool:
    """Whether a Host header may hold this.

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
                await PlainTextResponse(refusal(name), 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def refusal(name: str) -> str:
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
