"""The scripts of the page of plain files: its own, those of its parts, and KaTeX as Gradio brings it."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from cdvft_app.ui.shared import scripts

PAGE = "static/page.js"


def bundle(modules: Iterable[str]) -> str:
    """The script that makes the page's own, these modules and all that they import known to the browser."""
    return scripts.bundle([PAGE, *modules], {"katex": katex_script().read_text(encoding="utf-8")})


def katex_script() -> Path:
    """KaTeX as Gradio brings it, by which the app sets the same formulas."""
    return _of_gradio("katex-*.js")


def katex_style() -> Path:
    return _of_gradio("katex-*.css")


def _of_gradio(pattern: str) -> Path:
    spec = find_spec("gradio")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "templates" / "frontend" / "assets"
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise RuntimeError(
            f"Gradio has {len(found)} files {pattern} in {folder}, where one is needed: the page of plain "
            "files sets formulas by Gradio's KaTeX. Look how this Gradio packs it, and change _of_gradio."
        )
    return found[0]
