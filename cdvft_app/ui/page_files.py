"""The page's scripts and its styles, a file each, and the place in Gradio's HTML where they are named.

Gradio itself would add them only after its own scripts have run, and each file by itself.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cdvft_app import ASSETS
from cdvft_app.figures import palette
from cdvft_app.public.origins import PAGE_HEADER, page_token
from cdvft_app.settings.environment import environment
from cdvft_app.ui.shared.component import PLOTLY, file_address
from cdvft_app.ui.shared.gradio_adapter import frontend_assets
from cdvft_app.ui.shared.scripts import bundle

_FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}  # their names change with what they hold
# Before the first module: an import map that comes later would be ignored.
_BEFORE_MODULES, _AT_THE_END = b'<script type="module"', b"</head>"

# Before Gradio mounts the tab that it was told, so that a visit to another tab does not draw that one first.
OPEN_TAB_IN_ADDRESS = """{
  const name = new URL(location.href).searchParams.get("tab");
  const parts = window.gradio_config.components ?? [];
  if (parts.some(({ type, props }) => type === "tabitem" && props.id === name))
    parts.find(({ props }) => props.elem_id === "tabs").props.selected = name;
}
"""

# Gradio looks through all events for each of its components, twice; in an array of a class of its own Svelte
# leaves them as they are, in place of a proxy for each, through which that took a fifth of a visit's time.
PLAIN_EVENTS = """{
  class Events extends Array {}
  Object.setPrototypeOf(window.gradio_config.dependencies ?? [], Events.prototype);
}
"""

# Gradio's sign of loading counts its seconds in frames, and still does once it is gone: 4 % of a processor
# for as long as a page is open. It shows tenths of a second, for which a timer does, which draws nothing.
_FRAMES, _TENTHS = "window.requestAnimationFrame", "((count) => setTimeout(count, 100))"

FONTS = "%FONTS%"  # in a stylesheet, the folder of the fonts

# On a Space every request of the page's says that it is the page's, see `public/origins.py`. Gradio's form of
# names and passwords says nothing where the server takes no more of them for a while.
OWN_REQUESTS = """{
  const token = document.querySelector('meta[name="cdvft-page"]')?.content, ask = window.fetch;
  window.fetch = async (what, how) => {
    let asked = [what, how];
    if (token) {
      const request = new Request(what, how);
      if (new URL(request.url).origin === location.origin) request.headers.set("%s", token);
      asked = [request];
    }
    const answer = await ask(...asked);
    if (answer.status === 429 && answer.url.endsWith("/login")) alert((await answer.clone().json()).detail);
    return answer;
  };
}
"""


def before_modules() -> str:
    """Return the script that runs before any module."""
    return OWN_REQUESTS % PAGE_HEADER + OPEN_TAB_IN_ADDRESS + PLAIN_EVENTS


@dataclass(frozen=True)
class PageFiles:
    """The texts of the files by their names, and the sources that they are made of."""

    script: str
    style: str
    texts: dict[str, bytes]
    sources: tuple[tuple[Path, int], ...]

    @classmethod
    def read(cls) -> PageFiles:
        sources = _sources()
        modules = [file.relative_to(ASSETS / "js").as_posix() for file in scripts()]
        fonts = file_address(ASSETS / "fonts")
        sheets = [file.read_text(encoding="utf-8").replace(FONTS, fonts) for file in stylesheets()]
        script = (before_modules() + bundle(modules)).encode()
        style = "\n".join([palette.css(), *sheets]).encode()
        names = f"cdvft-{_digest(script)}.js", f"cdvft-{_digest(style)}.css"
        texts = dict(zip(names, (script, style), strict=True))
        return cls(*names, texts | _sign_of_loading(), sources)

    def is_current(self) -> bool:
        """Return whether no source was changed since: who works on one need only reload the page."""
        return self.sources == _sources()


class PageHead:
    """Names the files in every HTML page, and answers with them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._files = PageFiles.read()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        name = scope["path"].rpartition("/")[2]
        if text := self._files.texts.get(name):
            kind = "text/css" if name == self._files.style else "text/javascript"
            await Response(text, media_type=kind, headers=_FOR_EVER)(scope, receive, send)
            return
        start: Message | None = None
        whole = b""

        async def with_head(message: Message) -> None:
            nonlocal start, whole
            if message["type"] == "http.response.start" and _is_html(message):
                start = message
                return
            if start is None:
                await send(message)
                return
            whole += message.get("body", b"")
            if message.get("more_body", False):
                return
            if not self._files.is_current():
                self._files = PageFiles.read()
            changed = self._files_named(whole)
            headers = [pair for pair in start["headers"] if pair[0] != b"content-length"]
            headers.append((b"content-length", str(len(changed)).encode()))
            await send({**start, "headers": headers})
            await send({"type": "http.response.body", "body": changed})

        await self._app(scope, receive, with_head)

    def _files_named(self, page: bytes) -> bytes:
        known = environment()
        token = f'<meta name="cdvft-page" content="{page_token(known)}">' if known.space else ""
        script = f'{token}<script src="{self._files.script}"></script>'.encode()
        style = (
            f'<meta name="plotly" content="{file_address(PLOTLY)}">'
            f'<link rel="stylesheet" href="{self._files.style}">'
        ).encode()
        page = page.replace(_BEFORE_MODULES, script + _BEFORE_MODULES, 1)
        return page.replace(_AT_THE_END, style + _AT_THE_END, 1)


def scripts() -> list[Path]:
    """Return every module of the page."""
    return sorted((ASSETS / "js").rglob("*.js"))


def stylesheets() -> list[Path]:
    """Return the page's stylesheets, then the shared ones, each tab's, and that of contrast themes."""
    styles = ASSETS / "css"
    rooms = [room for room in styles.iterdir() if room.is_dir()]
    rooms.sort(key=lambda room: (room.name != "page", room.name != "shared", room.name))
    return [sheet for room in rooms for sheet in sorted(room.glob("*.css"))] + [styles / "forced_colors.css"]


def _sign_of_loading() -> dict[str, bytes]:
    files = frontend_assets().glob("statustracker-*.js")
    return {file.name: file.read_text(encoding="utf-8").replace(_FRAMES, _TENTHS).encode() for file in files}


def _sources() -> tuple[tuple[Path, int], ...]:
    return tuple((file, file.stat().st_mtime_ns) for file in [*scripts(), *stylesheets()])


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


def _is_html(message: Message) -> bool:
    kind = dict(message["headers"]).get(b"content-type", b"")
    return bool(kind.startswith(b"text/html"))
