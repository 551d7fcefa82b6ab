"""The stylesheets of the page of plain files: the app's, KaTeX's with its fonts inside, and its own."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from cdvft_app import ASSETS
from cdvft_app.figures import palette
from cdvft_app.ui.page_files import stylesheets
from cdvft_app.ui.static.scripts import katex_style
from cdvft_app.ui.theme import MONO, SANS

ROOMS = ("page", "shared", "learn", "factors", "train", "compare", "static")
# Gradio lets its styles hold in its own pages only.
_OF_GRADIO = re.compile(r"\.gradio-container(?:-\d+)+ ")
_FONT = re.compile(r'url\("?(\./[^)"]+\.woff2)"?\) ?format\("?woff2"?\)')
_OTHER_FONT = re.compile(r',? ?url\("?\./[^)"]+\.(?:woff|ttf)"?\) ?format\("?(?:woff|truetype)"?\)')


def style() -> str:
    """All of it as one stylesheet, in the order in which the app's hold, what is of plain files last."""
    own = sorted((ASSETS / "css" / "static").glob("*.css"))
    sheets = [sheet for sheet in stylesheets() if sheet.parent.name in (*ROOMS, "css")]
    fonts = f":root {{ --font: {_family(SANS)}; --font-mono: {_family(MONO)}; }}"
    return "\n".join([palette.css(), fonts, katex(), *map(_text, [*sheets, *own])])


def katex() -> str:
    """KaTeX's stylesheet; fonts beside it could not be read by a page opened from a disk."""
    file = katex_style()

    def inside(found: re.Match[str]) -> str:
        font = base64.b64encode((file.parent / found[1]).read_bytes()).decode()
        return f'url(data:font/woff2;base64,{font}) format("woff2")'

    return _FONT.sub(inside, _OTHER_FONT.sub("", _OF_GRADIO.sub("", _text(file))))


def _family(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' if " " in name else name for name in names)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")
