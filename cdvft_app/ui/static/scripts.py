"""The page's scripts in one file, as modules known by names: a page opened from a disk may load no modules.

The file hands each module to the browser as a data address, under its name in an import map.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from posixpath import dirname, join, normpath

from cdvft_app.ui.shared.component import ASSETS

PAGE = "static/page.js"
PREFIX = "cdvft/"
_IMPORT = re.compile(r"""(?<=from ")\.{1,2}/[^"]+(?=")|(?<=import ")\.{1,2}/[^"]+(?=")""")
_HAND_OVER = """{
  const sources = %s;
  const address = (source) => `data:text/javascript;charset=utf-8,${encodeURIComponent(source)}`;
  const map = document.createElement("script");
  map.type = "importmap";
  map.textContent = JSON.stringify({
    imports: Object.fromEntries(Object.entries(sources).map(([name, source]) => [name, address(source)])),
  });
  document.head.append(map);
}
"""


def bundle(modules: Iterable[str]) -> str:
    """The script that makes the page's own, these modules and all that they import known to the browser."""
    sources: dict[str, str] = {}
    waiting = [PAGE, *modules]
    while waiting:
        name = waiting.pop()
        if name in sources:
            continue
        source = (ASSETS / "js" / name).read_text(encoding="utf-8")
        sources[name] = named(name, source)
        waiting += _imported(name, source)
    known = {f"{PREFIX}{name}": source for name, source in sorted(sources.items())}
    return _HAND_OVER % json.dumps({**known, "katex": katex_script().read_text(encoding="utf-8")})


def named(name: str, source: str) -> str:
    """A module whose imports are by name: "../shared/dom.js" becomes "cdvft/shared/dom.js"."""
    return _IMPORT.sub(lambda found: PREFIX + normpath(join(dirname(name), found[0])), source)


def _imported(name: str, source: str) -> list[str]:
    found = [normpath(join(dirname(name), path)) for path in _IMPORT.findall(source)]
    return [path for path in found if (ASSETS / "js" / path).is_file()]  # comments name types' files, too


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
