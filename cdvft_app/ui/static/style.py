"""The stylesheets of the page of plain files: the app's, KaTeX's with its fonts inside, and its own."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from cdvft_app import ASSETS
from cdvft_app.figures import palette
from cdvft_app.ui.page_files import FONTS, stylesheets
from cdvft_app.ui.static.scripts import katex_style
from cdvft_app.ui.theme import MONO, SANS

ROOMS = ("page", "shared", "learn", "factors", "train", "compare", "static")
# Gradio lets its styles hold in its own pages only.
_OF_GRADIO = re.compile(r"\.gradio-container(?:-\d+)+ ")
_FONT = re.compile(r'url\("?(\./[^)"]+\.woff2)"?\) ?format\("?woff2"?\)')
_OWN_FONT = re.compile(rf'url\("{FONTS}/([\w./-]+\.woff2)"\)')
_OTHER_FONT = re.compile(r',? ?url\("?\./[^)"]+\.(?:woff|ttf)"?\) ?format\("?(?:woff|truetype)"?\)')


def style() -> str:
    """All of it as one stylesheet, in the order in which the app's hold, what is of plain files last."""
    own = sorted((ASSETS / "css" / "static").glob("*.css"))
    sheets = [sheet for sheet in stylesheets() if sheet.parent.name in (*ROOMS, "css")]
    fonts = f":root {{ --font: {_family(SANS)}; --font-mono: {_family(MONO)}; }}"
    texts = (_OWN_FONT.sub(_own_font, _text(sheet)) for sheet in [*sheets, *own])
    return "\n".join([palette.css(), fonts, katex(), *texts])


def _own_font(found: re.Match[str]) -> str:
    return f'url("{_inside(ASSETS / "fonts" / found[1])}")'


def _inside(font: Path) -> str:
    """The font as a data address: one beside the page could not be read by a page opened from a disk."""
    return f"data:font/woff2;base64,{base64.b64encode(font.read_bytes()).decode()}"


def katex() -> str:
    """KaTeX's stylesheet."""
    file = katex_style()

    def inside(found: re.Match[str]) -> str:
        return f'url({_inside(file.parent / found[1])}) format("woff2")'

    return _FONT.sub(inside, _OTHER_FONT.sub("", _OF_GRADIO.sub("", _text(file))))


def _family(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' if " " in name else name for name in names)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")
