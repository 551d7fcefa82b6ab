"""How soon the page can be used by how its scripts come: as served today, as files of their own, in a bundle.

    python -m benchmarks.page_loading [--turns 9] [--latency 50] [--bundler PATH_OF_ESBUILD] [--note TEXT]

One server serves every way, which a header chooses. In turns Chromium opens the page of each in a context of
its own, so with an empty cache, and every answer takes `--latency` milliseconds longer. What counts: requests
over the network and their bytes as they travel, milliseconds until the first card of Train, which the page's
scripts draw, is there to be pressed, and until Start is, which waits for the server's forecast. A first turn,
by which the server loads its libraries, does not count. Writes results/page_loading.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import statistics
import subprocess
import tempfile
from contextvars import ContextVar
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any

from playwright.sync_api import Browser, sync_playwright
from scipy.stats import t
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks.browser import PATIENCE, WINDOW, Traffic, chromium
from benchmarks.load import RESULTS, served
from benchmarks.machine import machine, write_record
from benchmarks.rounds import rotated
from cdvft_app import ASSETS
from cdvft_app.ui import launching, page_files, serving

WAY_HEADER = "x-way"
FOLDER = "page-loading"
WAYS = ("as served: data addresses", "modules with modulepreload", "one bundle")
SERVED, MODULES, BUNDLE = WAYS
FIRST_ROOMS = ("train", "page")  # whose parts are mounted as the page opens
CONTROLS = {"card": "#recipes .recipe:not([hidden])", "start": "#start:not([disabled])"}
WATCH = """(controls) => {
  const seen = window.firstSeen = {};
  const look = () => {
    for (const [name, selector] of Object.entries(controls))
      if (!seen[name] && document.querySelector(selector)?.getClientRects().length)
        seen[name] = performance.now();
    if (Object.keys(seen).length < Object.keys(controls).length) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument(
        "--latency", type=float, default=50, help="milliseconds that each answer takes longer"
    )
    parser.add_argument("--bundler", type=Path, help="esbuild; without it no bundle is measured")
    parser.add_argument("--note", default="", help="how the machine was, for the record")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return
    found: dict[str, list[dict[str, float]]] = {
        name: [] for name in WAYS if arguments.bundler or name != BUNDLE
    }
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        settings = {"PAGE_LOADING_BUNDLE": str(bundled(arguments.bundler, Path(folder)))}
        command = ["-m", "benchmarks.page_loading", "--serve"]
        with served(Path(folder), settings=settings, command=command) as (address, _):
            browser = chromium(playwright)
            for turn in range(1 + arguments.turns):
                for name in rotated([*found], turn):
                    one = opened(browser, address, name, arguments.latency)
                    print(turn, name, one, flush=True)
                    if turn:
                        found[name].append(one)
            browser.close()
    record = {
        "machine": machine(),
        "note": arguments.note,
        "load": os.getloadavg()[0],
        "latency_ms": arguments.latency,
        "turns": arguments.turns,
        "ways": {
            name: summary(each)
            | {
                "each": [[one[f"{control}_ms"] for control in CONTROLS] for one in each],
                "over_served": {
                    control: paired(
                        [one[f"{control}_ms"] for one in each],
                        [one[f"{control}_ms"] for one in found[SERVED]],
                    )
                    for control in CONTROLS
                },
            }
            for name, each in found.items()
        },
    }
    print(json.dumps(record, indent=1))
    write_record(RESULTS / "page_loading.json", record)


def opened(browser: Browser, address: str, way: str, latency: float) -> dict[str, float]:
    """Open the page once: requests, kilobytes, and milliseconds to each of `CONTROLS`."""
    context = browser.new_context(viewport=WINDOW, extra_http_headers={WAY_HEADER: str(WAYS.index(way))})
    page = context.new_page()
    network = context.new_cdp_session(page)
    traffic = Traffic(network)
    network.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": latency, "downloadThroughput": -1, "uploadThroughput": -1},
    )
    page.add_init_script(f"({WATCH})({json.dumps(CONTROLS)})")
    page.goto(f"{address}/?run=nothing", timeout=PATIENCE)
    enough = f"Object.keys(window.firstSeen ?? {{}}).length === {len(CONTROLS)}"
    page.wait_for_function(enough, timeout=PATIENCE)
    page.wait_for_timeout(2000)
    seen: dict[str, float] = page.evaluate("window.firstSeen")
    context.close()
    return traffic.counts() | {f"{name}_ms": round(at) for name, at in seen.items()}


def summary(each: list[dict[str, float]]) -> dict[str, Any]:
    """Median, smallest and largest of every number."""
    columns = {name: [one[name] for one in each] for name in each[0]}
    return {
        name: {"median": statistics.median(column), "least": min(column), "most": max(column)}
        for name, column in columns.items()
    }


def paired(times: list[float], served: list[float]) -> dict[str, float]:
    """Geometric mean of a way's times over those of the same turns as served, with its 95 % interval (t)."""
    logs = [math.log(one / other) for one, other in zip(times, served, strict=True)]
    center, spread = statistics.mean(logs), statistics.stdev(logs) / math.sqrt(len(logs))
    reach = float(t.ppf(0.975, len(logs) - 1)) * spread
    low, ratio, high = (round(math.exp(one), 3) for one in (center - reach, center, center + reach))
    return {"ratio": ratio, "low": low, "high": high}


def imports(name: str) -> set[str]:
    """The modules of assets/js that this one imports."""
    source = (ASSETS / "js" / name).read_text(encoding="utf-8")
    found = re.findall(
        r"""^(?:import|export|\}).* from "(\.{1,2}/[^"]+)";|^import "(\.[^"]+)";""", source, re.MULTILINE
    )
    return {normpath(join(dirname(name), one or other)) for one, other in found}


def closure(names: list[str]) -> list[str]:
    """These modules and all that they import."""
    known: set[str] = set()
    waiting = [*names]
    while waiting:
        name = waiting.pop()
        if name not in known:
            known.add(name)
            waiting += imports(name)
    return sorted(known)


def modules() -> list[str]:
    return [file.relative_to(ASSETS / "js").as_posix() for file in page_files.scripts()]


def bundled(bundler: Path | None, folder: Path) -> Path:
    """The page's modules as one by esbuild, which hands each over by its name."""
    if bundler is None:
        return folder / "none"
    names = modules()
    entry, made = folder / "entry.js", folder / "bundle.js"
    imported = (f'import * as m{at} from "{ASSETS / "js" / name}";' for at, name in enumerate(names))
    by_name = ", ".join(f"{json.dumps(name)}: m{at}" for at, name in enumerate(names))
    entry.write_text("\n".join([*imported, f"globalThis.bundled = {{{by_name}}};"]))
    options = ["--bundle", "--format=esm", "--minify", f"--outfile={made}"]
    subprocess.run([bundler, entry, *options], check=True)
    return made


# Of each module of the bundle a small one with its names, under its own name in the page's import map.
_BY_NAME = """{
  const exported = %s, file = JSON.stringify(new URL("%s", document.baseURI).href);
  const source = ([name, names]) =>
    `import ${file}; export const {${names}} = globalThis.bundled[${JSON.stringify(name)}];`;
  const address = (each) => [`cdvft/${each[0]}`, "data:text/javascript," + encodeURIComponent(source(each))];
  const map = document.createElement("script");
  map.type = "importmap";
  map.textContent = JSON.stringify({ imports: Object.fromEntries(Object.entries(exported).map(address)) });
  document.head.append(map);
}
"""
_EXPORT = re.compile(r"^export (?:async )?(?:const|let|function\*?|class) (\w+)", re.MULTILINE)
_way: ContextVar[str] = ContextVar("_way")


class EveryWay(page_files.PageHead):
    """The page's files in the way that a request's header names."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app)
        made = Path(os.environ["PAGE_LOADING_BUNDLE"])
        self._bundle = {"bundle.js": made.read_bytes()} if made.exists() else {}
        self._own = {name: (ASSETS / "js" / name).read_bytes() for name in modules()}
        self._first = {
            f"first-{WAYS.index(way)}.js": self._first_script(way).encode() for way in (MODULES, BUNDLE)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            _way.set(WAYS[int(headers.get(WAY_HEADER.encode(), b"0"))])
            _, inside, name = scope["path"].partition(f"/{FOLDER}/")
            if inside:
                text = (self._bundle | self._own | self._first)[name]
                await Response(text, media_type="text/javascript")(scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    def _first_script(self, way: str) -> str:
        text = page_files.before_modules()
        if way == BUNDLE:
            names = {name: ", ".join(_EXPORT.findall(source.decode())) for name, source in self._own.items()}
            text += _BY_NAME % (json.dumps(names), f"{FOLDER}/bundle.js")
        return text

    def _files_named(self, page: bytes) -> bytes:
        named = super()._files_named(page)
        way = _way.get()
        if way == SERVED:
            return named
        first = ["bundle.js"] if way == BUNDLE else []
        head = ""
        if way == MODULES:
            rooms = [name for name in self._own if name.partition("/")[0] in FIRST_ROOMS]
            first = closure([*rooms, "shared/part.js", "shared/router.js"])
            by_name = json.dumps({"imports": {"cdvft/": f"./{FOLDER}/"}})
            head = f'<script type="importmap">{by_name}</script>'
        preloads = "".join(f'<link rel="modulepreload" href="./{FOLDER}/{name}">' for name in first)
        script = f'<script src="{FOLDER}/first-{WAYS.index(way)}.js"></script>'
        served_script = f'<script src="{self._files.script}"></script>'
        return named.replace(served_script.encode(), f"{head}{preloads}{script}".encode(), 1)


def serve() -> None:
    """The page in every way, for `main`."""
    launching.PageHead = EveryWay  # type: ignore[misc]
    serving.main()


if __name__ == "__main__":
    main()
