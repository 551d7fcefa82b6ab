"""Whether every link and file that the built documentation names is there, and none lies on another host.

python deploy/check_links.py build/docs
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = ("script", "img", "link", "iframe", "source")  # what a browser fetches by itself


class Page(HTMLParser):
    """What a page links to and loads, and the ids that links may lead to."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.ids = {""}
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.found.append((tag, value))
            if name == "id" and value:
                self.ids.add(value)


def problems(root: Path) -> Iterator[str]:
    """A sentence for each."""
    pages = {file: Page(file) for file in root.rglob("*.html")}
    for file, page in pages.items():
        for tag, link in page.found:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if tag in LOADED and parts.scheme != "data":
                    yield f"{file.relative_to(root)} loads {link} from another host."
                continue
            above = root if parts.path.startswith("/") else file.parent
            there = (above / unquote(parts.path).lstrip("/")).resolve() if parts.path else file
            if not there.exists():
                yield f"{file.relative_to(root)} links to {link}, which is not there."
            elif there in pages and unquote(parts.fragment) not in pages[there].ids:
                yield f"{file.relative_to(root)} links to {link}, and that page has no such part."


if __name__ == "__main__":
    found = sorted(set(problems(Path(sys.argv[1]).resolve())))
    print("\n".join(found))
    sys.exit(1 if found else 0)
