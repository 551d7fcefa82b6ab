"""The code and the styles of Gradio's own parts, which it would fetch file by file, about 65 of them.

Gradio loads a part by `import("./Index-....js")`, and before it, by a link each, the files that a table in
its code names; those of parts in tabs that nobody has opened, too. An import map gives the browser these
modules, and links that fetch nothing stand for the files (`scripts.py`). Where a Gradio is built in another
way nothing is found, and it fetches its files as ever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cdvft_app.ui.shared.gradio_adapter import frontend_assets

# What the page is laid out of; one that is missing here is fetched by Gradio.
PARTS = (
    "accordion", "browserstate", "button", "checkbox", "checkboxgroup", "column", "dropdown", "file", "form",
    "html", "json", "markdown", "number", "radio", "row", "slider", "state", "tabitem", "tabs", "textbox",
)  # fmt: skip
ASSETS = "%ASSETS%/"  # stands for the address of Gradio's files, which only the browser knows
_TABLE = re.compile(r"m\.f=(\[[^\]]*\])")
_OF_PART = (
    r"[{,]%s:\{(?:(?!component:).)*component:\(\)=>\w+\(\(\)=>import\(`[^`]+`\)[^_]*"
    r"__vite__mapDeps\(\[([\d,]*)\]"
)
_IMPORT = re.compile(r"""((?:from|import)\(?["'`])\./""")


@dataclass(frozen=True)
class GradioParts:
    """Modules by their files' names, their imports from `ASSETS`, and stylesheets likewise."""

    modules: dict[str, str]
    styles: dict[str, str]

    @classmethod
    def read(cls, parts: Iterable[str] = PARTS) -> GradioParts:
        folder = frontend_assets()
        found = {name: (folder / name).read_text(encoding="utf-8") for name in _files(folder, parts)}
        return cls(
            modules={
                name: _IMPORT.sub(rf"\1{ASSETS}", text)
                for name, text in found.items()
                if name.endswith(".js") and "import.meta" not in text  # which needs the file's own address
            },
            styles={
                name: text for name, text in found.items() if name.endswith(".css") and "url(" not in text
            },
        )


def _files(folder: Path, parts: Iterable[str]) -> list[str]:
    """The files that these parts need beside those with which every page begins."""
    cores = [file.read_text(encoding="utf-8") for file in folder.glob("core-*.js")]
    begins = {name for file in folder.glob("index-*.js") for name in _table(file.read_text(encoding="utf-8"))}
    needed: set[str] = set()
    for core in cores:
        table = _table(core)
        for part in parts:
            if found := re.search(_OF_PART % part, core):
                needed |= {table[int(place)] for place in found[1].split(",") if place}
    entry = {name for name in needed if name.startswith("index-")}  # runs by itself, once
    return sorted(needed - begins - entry)


def _table(source: str) -> list[str]:
    found = _TABLE.search(source)
    return [name.removeprefix("./") for name in json.loads(found[1])] if found else []
