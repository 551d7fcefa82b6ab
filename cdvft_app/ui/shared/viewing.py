"""The viewer of the history: the owner of a token that came with the request, or of the page's cookie.

The cookie is the token's `viewer_key`: it finds the owner's runs and can change none.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote, unquote

import gradio as gr

from cdvft_app import catalog
from cdvft_app.public import visitors
from cdvft_app.settings.environment import environment
from cdvft_app.store.owners import KEY, Viewer, key_hash, token_hash
from cdvft_app.store.records import RunRecord
from cdvft_app.ui.shared.gradio_adapter import current_request

VIEWER_COOKIE = "cdvft-viewer"
VISITOR_HEADER = "x-cdvft-visitor"
_header_key = secrets.token_bytes(32)
_owner: ContextVar[str | None] = ContextVar("owner", default=None)


@contextmanager
def acting_as(token: object) -> Iterator[None]:
    """Let the token's owner be the viewer meanwhile; what is no token changes nothing."""
    owner = token_hash(token) if isinstance(token, str) and token else _owner.get()
    before = _owner.set(owner)
    try:
        yield
    finally:
        _owner.reset(before)


def viewer() -> Viewer:
    """Return the current viewer, by the token that came with the request, or by the cookie."""
    owner = _owner.get() or _cookie(current_request())
    return Viewer(owner, name=_title if environment().public else None)


def visitor() -> str | None:
    """Return the visitor whose time the current request spends; None on a server that is not public."""
    return visitor_of(current_request())


def client_key() -> str:
    """Return the visitor of the current request or, on a server that is not public, its network address."""
    return client_key_of(current_request())


def client_key_of(request: Any) -> str:
    """`client_key` of a request; None: nobody knows whose."""
    return visitor_of(request) or address_of(request)


def visitor_of(request: Any) -> str | None:
    """`visitor` of a request; None: nobody knows whose."""
    known = environment()
    if not known.public:
        return None
    if request is None:
        return visitors.visitor(known, None, "", "")
    if (called_for := visitor_in(request.headers.get(VISITOR_HEADER))) is not None:
        return called_for
    return visitors.visitor(known, _account(request), _code(request), address_of(request))


def is_known_code() -> bool:
    """Return whether the operator gave out the class code that came with the request, if one did.

    Raises:
        TooManyGuesses: it was not compared.
    """
    request = current_request()
    code = _code(request) if request is not None else ""
    return not code or visitors.is_code(environment(), code, address_of(request))


def address() -> str:
    """Return the network address of whoever asks now; empty where nobody does by network."""
    return address_of(current_request())


def address_of(request: Any) -> str:
    client = request.client if request is not None else None
    return client.host if client else ""


def _code(request: Any) -> str:
    sent = request.cookies.get(visitors.CODE_COOKIE) or request.headers.get(visitors.CODE_HEADER) or ""
    return unquote(str(sent))


def is_logged_in(request: Any) -> bool:
    """Return whether whoever asks a route of our own may: everybody, where the server has no login."""
    return request.app.auth is None or _login(request) is not None


def _account(request: Any) -> str | None:
    """The name under which somebody is logged in: on a Space by the hub, elsewhere by Gradio's own login."""
    plain = request.request if isinstance(request, gr.Request) else request  # as components' functions get it
    session = plain.scope.get("session") if plain is not None and environment().hub_accounts else None
    if session and (signed_in := session.get("oauth_info")):
        return str(signed_in["userinfo"]["preferred_username"])
    return request.username if isinstance(request, gr.Request) else _login(request)


def _login(request: Any) -> str | None:
    """Return the name of Gradio's own login, by its cookie."""
    app = request.app
    for cookie in (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}"):
        if name := app.tokens.get(request.cookies.get(cookie)):
            return name
    return None


def _cookie(request: Any) -> str | None:
    value = request.cookies.get(VIEWER_COOKIE, "") if request is not None else ""
    return key_hash(value) if KEY.fullmatch(value) else None


def _title(run: RunRecord) -> str:
    """Return the title of a stranger's run: only its owner reads its name."""
    recipe = catalog.RECIPES.get(run.settings.recipe)
    return recipe.title if recipe else run.settings.recipe


def signed(visitor: str) -> str:
    """Return the value of `VISITOR_HEADER`, by which whoever is called for is counted.

    A tool that an agent calls asks its endpoint over loopback. The header is signed with a key of this
    program, and never sent to anybody.
    """
    name = quote(visitor)
    return f"{name}.{_signature(name)}"


def visitor_in(value: str | None) -> str | None:
    """Return the visitor of a `VISITOR_HEADER` that this program wrote; None for anything else."""
    name, _, signature = (value or "").rpartition(".")
    sent = signature.encode("utf-8", "surrogatepass")
    return unquote(name) if name and hmac.compare_digest(sent, _signature(name).encode()) else None


def _signature(name: str) -> str:
    return hmac.digest(_header_key, name.encode("utf-8", "surrogatepass"), "sha256").hex()


def has_login() -> bool:
    """Return whether people can sign in here by the hub, which gives a Space that asks for OAuth a secret."""
    return environment().hub_accounts and find_spec("authlib") is not None
