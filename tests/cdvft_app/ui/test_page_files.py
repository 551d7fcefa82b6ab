"""The scripts and styles in a file each: what is in them, where the page names them, and for how long."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from cdvft_app.ui import page_files
from cdvft_app.ui.incoming import Compressed
from cdvft_app.ui.page_files import PageHead
from cdvft_app.ui.shared import scripts

ROOT = Path(__file__).parents[3]
OF_GRADIO = (
    "<html><head><script>config</script><script type=\"module\" src='a.js'></script>"
    "<link rel='stylesheet' href='a.css'></head><body>" + "word " * 200 + "</body></html>"
)


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copies of the scripts and styles, which a test may change."""
    for kind in ("js", "css"):
        shutil.copytree(ROOT / "assets" / kind, tmp_path / kind)
    for module in (page_files, scripts):
        monkeypatch.setattr(module, "ASSETS", tmp_path)
    return tmp_path


def client(*parts: type) -> TestClient:
    def events(_: object) -> StreamingResponse:
        return StreamingResponse(iter(["data: 1\n\n"] * 200), media_type="text/event-stream")

    return TestClient(
        Starlette(
            routes=[
                Route("/", lambda _: HTMLResponse(OF_GRADIO)),
                Route("/answer", lambda _: JSONResponse(["0.25"] * 1000)),
                Route("/events", events),
                Route("/weights.bin", lambda _: PlainTextResponse("w" * 5000)),
            ],
            middleware=[Middleware(part) for part in parts],
        )
    )


def named(page: str) -> tuple[str, str]:
    (script,), (style,) = (set(re.findall(rf"cdvft-\w+\.{kind}", page)) for kind in ("js", "css"))
    return script, style


def test_one_script_before_gradios_and_one_style_after() -> None:
    page = client(PageHead).get("/").text
    script, style = named(page)
    order = [page.index(part) for part in ("config", script, 'type="module"', "a.css", style, "<body>")]
    assert order == sorted(order)
    assert page.endswith("word </body></html>"), "the length that is told is that of the page as changed"


def test_the_files_hold_every_module_and_style_and_may_be_kept_for_ever() -> None:
    asked = client(PageHead)
    script, style = (asked.get(f"/{name}") for name in named(asked.get("/").text))
    for file in (script, style):
        assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-type"].startswith("text/javascript")
    assert style.headers["content-type"].startswith("text/css")
    modules = {path.relative_to(ROOT / "assets/js").as_posix() for path in (ROOT / "assets/js").rglob("*.js")}
    in_it = set(re.findall(r'"cdvft/([\w/]+\.js)": ', script.text))
    assert in_it == {name for name in modules if not name.startswith("static/")}
    held = [
        style.text.index(part)
        for part in (".masthead", ".method-chips", "/* The Learn tab", "/* Windows' contrast")
    ]
    assert held == sorted(held), "the page's own, the shared ones, a tab's, those of contrast themes"


@pytest.mark.parametrize("changed", ["js/learn/rank.js", "css/learn/learn.css"])
def test_a_changed_source_is_in_the_next_page(assets: Path, changed: str) -> None:
    asked = client(PageHead)
    before = named(asked.get("/").text)
    assert named(asked.get("/").text) == before
    file = assets / changed
    file.write_text(file.read_text() + "/* changed by a hand */\n")
    os.utime(file, (1, 1))  # whatever the clock's steps are
    after = named(asked.get("/").text)
    kind = changed.startswith("css")
    assert after[kind] != before[kind] and after[not kind] == before[not kind]
    assert "changed by a hand" in asked.get(f"/{after[kind]}").text


def test_other_answers_are_as_they_were() -> None:
    asked = client(PageHead)
    assert asked.get("/answer").json() == ["0.25"] * 1000
    assert asked.get("/weights.bin").text == "w" * 5000
    assert asked.get("/cdvft-0123456789abcdef.js").status_code == 404


@pytest.mark.parametrize(
    "path, smaller", [("/", True), ("/answer", True), ("/events", False), ("/weights.bin", False)]
)
def test_pages_and_answers_are_compressed_files_and_streams_are_not(path: str, smaller: bool) -> None:
    answer = client(Compressed).get(path, headers={"accept-encoding": "gzip"})
    assert (answer.headers.get("content-encoding") == "gzip") is smaller
