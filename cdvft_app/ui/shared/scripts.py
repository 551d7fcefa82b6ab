"""Scripts of assets/js in one file, as modules known by names: "cdvft/shared/dom.js".

The file hands each module to the browser as a data address, under its name in an import map. So a page needs
one request for them all, and none where a page opened from a disk may load no modules. That is why an import
map of plain files cannot replace this one: it would be a second way beside it, and the page would ask for 37
files more as it opens and was not usable sooner when that was measured.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from posixpath import dirname, join, normpath

from cdvft_app import ASSETS

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
    """Return the script that makes these modules, and all that they import, known to the browser."""
    sources: dict[str, str] = {}
    waiting = [*modules]
    while waiting:
        name = waiting.pop()
        if name in sources:
            continue
        source = (ASSETS / "js" / name).read_text(encoding="utf-8")
        sources[name] = f"{named(name, source)}//# sourceURL=assets/js/{name}\n"  # its name in a debugger
        waiting += _imported(name, source)
    known = {f"{PREFIX}{name}": source for name, source in sorted(sources.items())}
    return _HAND_OVER % json.dumps(known)


def named(name: str, source: str) -> str:
    """Return a module with imports by name: "../shared/dom.js" becomes "cdvft/shared/dom.js"."""
    return _IMPORT.sub(lambda found: PREFIX + normpath(join(dirname(name), found[0])), source)


def _imported(name: str, source: str) -> list[str]:
    found = [normpath(join(dirname(name), path)) for path in _IMPORT.findall(source)]
    return [path for path in found if (ASSETS / "js" / path).is_file()]  # comments name types' files, too
