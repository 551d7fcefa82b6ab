"""Writes the folder of plain files: page, data, scripts, and a stylesheet with KaTeX's fonts inside."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import orjson

from cdvft_app import ASSETS
from cdvft_app.figures import palette
from cdvft_app.files import folder_bytes
from cdvft_app.store.runs import RunStore
from cdvft_app.training.queue import RunQueue
from cdvft_app.ui.page_files import FONTS, stylesheets
from cdvft_app.ui.shared import scripts
from cdvft_app.ui.shared.component import PLOTLY
from cdvft_app.ui.shared.gradio_adapter import frontend_assets
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.static import answers, page
from cdvft_app.ui.static.page import PAGE
from cdvft_app.ui.static.tabs import tabs
from cdvft_app.ui.theme import MONO, SANS

CARD = ASSETS / "static_space.md"  # README.md of a static Space
_MARK = "scripts.js"  # a folder that has it was written here
ROOMS = ("page", "shared", "learn", "factors", "train", "compare", "static")
# Gradio lets its styles hold in its own pages only.
_OF_GRADIO = re.compile(r"\.gradio-container(?:-\d+)+ ")
_FONT = re.compile(r'url\("?(\./[^)"]+\.woff2)"?\) ?format\("?woff2"?\)')
_OWN_FONT = re.compile(rf'url\("{FONTS}/([\w./-]+\.woff2)"\)')
_OTHER_FONT = re.compile(r',? ?url\("?\./[^)"]+\.(?:woff|ttf)"?\) ?format\("?(?:woff|truetype)"?\)')


def write(folder: Path, studio: str | None = None) -> int:
    """Write the folder anew. Returns the bytes that it takes.

    Args:
        folder: where; it must be empty, not there, or written before
        studio: address of a running app, to which figures link; None for no links

    Raises:
        ValueError: the folder holds other files, or `studio` is no address of a page.
    """
    address = urlsplit(studio or "")
    if studio is not None and not (address.scheme in ("http", "https") and address.netloc):
        raise ValueError(f"STUDIO is {studio[:80]!r}; give the studio's whole address, as https://host/path.")
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).is_file():
        raise ValueError(f"{folder} holds other files, which would be lost; name an empty folder.")
    with TemporaryDirectory() as nowhere:  # a store without runs: what is recorded is all there is
        store = RunStore(Path(nowhere))
        app = AppState.make(store, RunQueue(store))
        kept = answers.compute(app)
        html, contents = page.lay_out(app, tabs(store), kept, studio)
    texts = {
        _MARK: bundle(part["module"] for part in contents["parts"]),
        "index.html": html,
        "style.css": style(),
        **{f"data/{name}.js": _kept(name, answer) for name, answer in kept.files.items()},
        "data/page.js": _kept("page", contents),
    }
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    for file in (PLOTLY, ASSETS / "logo.svg", ASSETS.parent / "LICENSE"):
        shutil.copy(file, folder)
    shutil.copy(CARD, folder / "README.md")
    return folder_bytes(folder)


def _kept(name: str, answer: Any) -> str:
    """Return an answer as the script that hands it over to `assets/js/static/answers.js`."""
    packed = base64.b64encode(gzip.compress(orjson.dumps(answer), mtime=0)).decode()
    return f"keepAnswer({json.dumps(name)}, {json.dumps(packed)});\n"


def style() -> str:
    """Return all styles as one stylesheet, in the app's order, with those of plain files last."""
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


def bundle(modules: Iterable[str]) -> str:
    """The script that makes the page's own, these modules and all that they import known to the browser."""
    return scripts.bundle([PAGE, *modules], {"katex": katex_script().read_text(encoding="utf-8")})


def katex_script() -> Path:
    """KaTeX as Gradio brings it, by which the app sets the same formulas."""
    return _of_gradio("katex-*.js")


def katex_style() -> Path:
    return _of_gradio("katex-*.css")


def _of_gradio(pattern: str) -> Path:
    folder = frontend_assets()
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise RuntimeError(
            f"Gradio has {len(found)} files {pattern} in {folder}, where one is needed: the page of plain "
            "files sets formulas by Gradio's KaTeX. Look how this Gradio packs it, and change _of_gradio."
        )
    return found[0]
