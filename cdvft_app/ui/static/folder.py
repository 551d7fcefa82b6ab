"""Writes the folder of plain files."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import orjson

from cdvft_app import ASSETS
from cdvft_app.store.runs import RunStore
from cdvft_app.training.queue import RunQueue
from cdvft_app.ui.shared.component import plotly_script
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.static import answers, page, scripts, style
from cdvft_app.ui.static.tabs import tabs

CARD = ASSETS / "static_space.md"  # README.md of a static Space
_MARK = "scripts.js"  # a folder that has it was written here


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
        _MARK: scripts.bundle(part["module"] for part in contents["parts"]),
        "index.html": html,
        "style.css": style.style(),
        **{f"data/{name}.js": _kept(name, answer) for name, answer in kept.files.items()},
        "data/page.js": _kept("page", contents),
    }
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    for file in (plotly_script(), ASSETS / "logo.svg", ASSETS.parent / "LICENSE"):
        shutil.copy(file, folder)
    shutil.copy(CARD, folder / "README.md")
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _kept(name: str, answer: Any) -> str:
    """An answer as the script that hands it over to `assets/js/static/answers.js`."""
    packed = base64.b64encode(gzip.compress(orjson.dumps(answer), mtime=0)).decode()
    return f"keepAnswer({json.dumps(name)}, {json.dumps(packed)});\n"
