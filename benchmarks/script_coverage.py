"""Which of the page's scripts no browser test uses, by Chromium's own counts.

    python -m benchmarks.script_coverage [tests/browser/test_learn.py ...] [--lines] [--anew] [--kept]

Runs files of tests/browser and keeps in build/script_coverage what the pages of each used, as soon as it
ends; one that is kept there for the scripts of today is not run again, unless `--anew` asks for it, so a run
may be broken off and continued; with `--kept` nothing is run. Without files it takes all of them and writes
results/script_coverage.json, which names the files that are not measured yet: while there is one, what is
unused is an upper bound. `--lines` prints the lines that nothing used, too.

V8 counts blocks (`detailed`), from before a page's first script on, in every page of every test; a block is
used where any page ran it. Bytes are those of the modules as they are handed over, every module of assets/js,
but not plotly's. Lines that are blank or hold only a comment count as shipped and as neither used nor unused:
V8 calls a comment unused where the function around it is, and used elsewhere. So the share that counts is
that of unused code among code, which comments cannot make smaller.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import playwright.sync_api as playwright
import pytest

from benchmarks.load import RESULTS
from benchmarks.machine import read_record, write_record, write_whole
from cdvft_app import ASSETS
from cdvft_app.ui.shared.scripts import named

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "build" / "script_coverage"
# Else what V8 has counted of a page is gone as soon as a link or a script has led to the next.
ONE_DOCUMENT_HOST = "--disable-features=RenderDocument"
SOURCE_URL = "assets/js/"  # at the end of each module, see `bundle`
COMMENT = re.compile(r"\s*(//|/\*|\*)|\s*$")


def sources() -> dict[str, str]:
    """Every module by its path below assets/js, as the browser gets it."""
    folder = ASSETS / "js"
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.js"))
    return {name: named(name, (folder / name).read_text(encoding="utf-8")) for name in names}


class Coverage:
    """A plugin of pytest: counts in every page that a test opens, and keeps what each file's tests used."""

    def __init__(self, digest: str) -> None:
        self._digest = digest
        self._texts = sources()
        self._used: dict[str, bytearray] = {}  # by module, 1 for each character that was used
        self._failed = 0
        self._sessions: dict[playwright.Page, playwright.CDPSession] = {}
        self._patch = pytest.MonkeyPatch()

    def pytest_sessionstart(self) -> None:
        launch = playwright.BrowserType.launch

        def launched(self: Any, *values: Any, args: list[str], **options: Any) -> Any:
            return launch(self, *values, args=[*args, ONE_DOCUMENT_HOST], **options)

        self._patch.setattr(playwright.BrowserType, "launch", launched)
        for method in ("goto", "reload", "close"):  # after which V8 may have forgotten the page's scripts
            self._wrap(playwright.Page, method, before=lambda page: self._take([page]))
        self._wrap(playwright.BrowserContext, "new_page", after=self._watch)
        self._wrap(playwright.BrowserContext, "close", before=lambda context: self._take(context.pages))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        result = yield
        if nextitem is None or nextitem.path != item.path:
            KEPT.mkdir(parents=True, exist_ok=True)
            used = {name: [*spans(flags)] for name, flags in self._used.items()}
            kept = {"scripts": self._digest, "failed": self._failed, "used": used}
            write_whole(KEPT / f"{item.path.stem}.json", json.dumps(kept))
            self._used, self._failed = {}, 0
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed += report.failed

    def pytest_sessionfinish(self) -> None:
        self._patch.undo()

    def _wrap(
        self,
        owner: type,
        name: str,
        before: Callable[[Any], None] = lambda _: None,
        after: Callable[[Any], None] = lambda _: None,
    ) -> None:
        method = getattr(owner, name)

        @wraps(method)
        def wrapped(self: Any, *values: Any, **options: Any) -> Any:
            before(self)
            result = method(self, *values, **options)
            after(result)
            return result

        self._patch.setattr(owner, name, wrapped)

    def _watch(self, page: playwright.Page) -> None:
        session = self._sessions[page] = page.context.new_cdp_session(page)
        session.send("Profiler.enable")
        session.send("Profiler.startPreciseCoverage", {"callCount": False, "detailed": True})
        page.on("popup", self._watch)

    def _take(self, pages: list[playwright.Page]) -> None:
        for page in pages:
            if page not in self._sessions:
                continue
            try:
                found = self._sessions[page].send("Profiler.takePreciseCoverage")
            except playwright.Error:  # it is closed, or its process is gone
                continue
            for script in found["result"]:
                if script["url"].startswith(SOURCE_URL):
                    self._add(script["url"].removeprefix(SOURCE_URL), script["functions"])

    def _add(self, name: str, functions: list[dict[str, Any]]) -> None:
        now = counted(len(self._texts[name]), functions)
        both = int.from_bytes(self._used.get(name, b"")) | int.from_bytes(now)
        self._used[name] = bytearray(both.to_bytes(len(now)))


def counted(length: int, functions: list[dict[str, Any]]) -> bytearray:
    """1 for each character of a module of that length that ran, by what `takePreciseCoverage` tells."""
    flags = bytearray(length)
    ranges = [one for function in functions for one in function["ranges"]]
    # An inner range says more than the one around it.
    for one in sorted(ranges, key=lambda one: (one["startOffset"], -one["endOffset"])):
        start, end = one["startOffset"], min(one["endOffset"], length)
        flags[start:end] = bytes([one["count"] > 0]) * (end - start)
    return flags


def kept(file: Path, digest: str) -> dict[str, Any] | None:
    """What a file's tests used, if it was measured with these scripts."""
    found = read_record(KEPT / f"{file.stem}.json")
    return found if found.get("scripts") == digest else None


def spans(flags: bytearray) -> Iterator[tuple[int, int]]:
    """The stretches of a module that are flagged, from and to (exclusive)."""
    return (found.span() for found in re.finditer(rb"\x01+", flags))


def code(text: str) -> bytearray:
    """1 for each character of a line that holds code, without the line's indentation and its end."""
    flags = bytearray(len(text))
    at = 0
    for line in text.splitlines(keepends=True):
        if not COMMENT.match(line):
            start, end = at + len(line) - len(line.lstrip()), at + len(line.rstrip())
            flags[start:end] = b"\x01" * (end - start)
        at += len(line)
    return flags


def unused(measured: list[dict[str, Any]], texts: dict[str, str]) -> dict[str, bytearray]:
    """1 for each character of code that none of these files' tests used, by module."""
    left = {name: code(text) for name, text in texts.items()}
    for one in measured:
        for name, each in one["used"].items():
            for start, end in each:
                left[name][start:end] = bytes(end - start)
    return left


def size(text: str, flags: bytearray) -> int:
    """The bytes in UTF-8 of a text's flagged characters."""
    return sum(len(text[start:end].encode()) for start, end in spans(flags))


def summary(left: dict[str, bytearray], texts: dict[str, str]) -> dict[str, Any]:
    """Bytes shipped, of code and of unused code, in all and by module."""
    modules = {
        name: {
            "shipped": len(text.encode()),
            "code": size(text, code(text)),
            "unused": size(text, left[name]),
        }
        for name, text in texts.items()
    }
    whole = {key: sum(one[key] for one in modules.values()) for key in ("shipped", "code", "unused")}
    return {
        **whole,
        "unused_share_of_code": round(whole["unused"] / whole["code"], 4),
        "modules": dict(sorted(modules.items(), key=lambda item: -item[1]["unused"])),
    }


def lines(name: str, text: str, flags: bytearray) -> Iterator[str]:
    """Each line of which something is unused, with its number and what of it that is."""
    at = 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        parts = [line[start:end] for start, end in spans(flags[at : at + len(line)])]
        if any(re.search(r"\w", part) for part in parts):
            yield f"{name}:{number}: {' … '.join(parts)}"
        at += len(line)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, help="of tests/browser; all, if left out")
    parser.add_argument("--lines", action="store_true", help="print what is unused, line by line")
    parser.add_argument("--anew", action="store_true", help="run again what is kept of an earlier run")
    parser.add_argument("--kept", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    texts = sources()
    digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]
    files = arguments.files or sorted((ROOT / "tests" / "browser").glob("test_*.py"))
    missing = [str(file) for file in files if arguments.anew or not kept(file, digest)]
    if missing and not arguments.kept:
        pytest.main(["-p", "no:xdist", *missing], plugins=[Coverage(digest)])
    measured = {file.stem: found for file in files if (found := kept(file, digest))}
    left = unused([*measured.values()], texts)
    found = summary(left, texts)
    if arguments.lines:
        for name, flags in left.items():
            print(*lines(name, texts[name], flags), sep="\n")
    for name, one in found["modules"].items():
        print(f"{one['unused']:7,} of {one['code']:7,}  {name}")
    print(f"{found['unused']:,} of {found['code']:,} bytes of code are unused, {found['shipped']:,} shipped")
    if not arguments.files:
        record = {
            "unmeasured": [file.stem for file in files if file.stem not in measured],
            "failed": {name: one["failed"] for name, one in measured.items() if one["failed"]},
            **found,
        }
        write_record(RESULTS / "script_coverage.json", record)


if __name__ == "__main__":
    main()
