"""What the browser tests share: the app in this process, and the names of their fixtures' types."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported, as app.py does

import fake_training
import httpx
from axe_playwright_python.base import AXE_SCRIPT
from gradio import http_server, networking
from gradio.context import Context
from gradio_client import Client
from in_process import InProcess
from playwright.sync_api import Locator, Page, Position, Request, expect
from ports import free_port, is_free
from waiting import pace, wait_for

from cdvft_app.executors.queue import RunQueue
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.build import build
from cdvft_app.ui.launching import launch_arguments
from cdvft_app.ui.shared.state import AppState

Hold = Callable[[int | None], None]
Visit = Callable[..., Page]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


ON_COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}  # all that run by default
DARK = "document.body.classList.contains('dark')"
TRANSITIONS_ENDED = """() => Promise.allSettled(
  document.getAnimations().filter((one) => one instanceof CSSTransition).map((one) => one.finished))"""


def axe_violations(page: Page, context: str | None = None) -> list[str]:
    """What axe finds wrong on the page, or in `context` (a selector): the rule, and where.

    Every rule is tried in the colours that the page has, and those about colours in the others, too.
    """
    dark = page.evaluate(DARK)
    two_frames(page)
    page.evaluate(TRANSITIONS_ENDED)
    found = _axe(page, context)
    for scheme in ("light", "dark") if dark else ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"{DARK} === {str(scheme == 'dark').lower()}")
        two_frames(page)
        page.evaluate(TRANSITIONS_ENDED)
        if (scheme == "dark") != dark:
            found += [f"{scheme}: {one}" for one in _axe(page, context, runOnly=ON_COLOURS)]
    return found


def _axe(page: Page, context: str | None, **options: object) -> list[str]:
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    return page.evaluate(
        """async ([context, options]) => (await axe.run(context ?? document, options)).violations.map(
             ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(", ")}`)""",
        [context, {"resultTypes": ["violations"], **options}],
    )


def without_app(visit: Visit) -> Page:
    """A page at the server's address that has no app, for scripts that only compute."""
    return visit("theme.css", ready="body")


def fill_in(field: Locator, text: str) -> None:
    """Type into a field that a fold may just have shown: Gradio sets it once more when it is mounted."""
    for _ in range(20):
        field.fill(text)
        two_frames(field.page)
        if field.input_value() == text:
            return
    raise AssertionError(f"{field} does not keep {text!r}")


def downloaded(button: Locator) -> Path:
    """The file that comes when this is pressed."""
    with button.page.expect_download() as coming:
        button.click()
    return Path(coming.value.path())


def set_range(slider: Locator, value: int) -> None:
    slider.evaluate(
        """(slider, value) => {
          slider.value = value;
          slider.dispatchEvent(new Event("input", { bubbles: true }));
        }""",
        value,
    )


def beyond_the_edge(page: Page, but_for: str, room: float = 0) -> list[str]:
    """What ends right of the window, on what is not of those selectors nor within it."""
    return page.evaluate(
        """([butFor, room]) => [...document.querySelectorAll("main *")]
             .filter((node) => !node.closest(butFor) && node.getClientRects().length
               && node.getBoundingClientRect().right > innerWidth + room)
             .map((node) => node.outerHTML.slice(0, 120))""",
        [but_for, room],
    )


def pick(radio: Locator) -> None:
    """Choose by keyboard: what still comes in above a pointer moves what it points at."""
    radio.press(" ")
    expect(radio).to_be_checked()


def drawn(canvas: Locator, before: str = "") -> str:
    """What is on a canvas, once that is something and another picture than `before`."""
    canvas.scroll_into_view_if_needed()
    picture = """(canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
      .data.some(Boolean) && canvas.toDataURL()"""
    found = canvas.page.wait_for_function(
        f"([canvas, before]) => {{ const now = ({picture})(canvas); return now !== before && now; }}",
        arg=[canvas.element_handle(), before],
    )
    return found.json_value()


def spot(area: Locator, x: float, y: float = 0.5) -> Position:
    """The place at these shares of an area's width and height, for pointers that wait until it rests."""
    box = area.bounding_box()
    assert box
    return {"x": x * box["width"], "y": y * box["height"]}


def shortcuts_taken(part: Locator) -> list[str]:
    """Keys that something in the part keeps from the browser while Ctrl, Alt or Cmd is held."""
    return part.evaluate(
        """(part) => {
          const arrows = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];
          const keys = [...arrows, "Home", "End", "Delete", ..."0+- "];
          const press = { bubbles: true, cancelable: true };
          return [...part.querySelectorAll("[tabindex]")].flatMap((one) =>
            ["ctrlKey", "altKey", "metaKey"].flatMap((held) => keys
              .map((key) => new KeyboardEvent("keydown", { key, [held]: true, ...press }))
              .filter((event) => !one.dispatchEvent(event))
              .map(({ key }) => `${one.getAttribute("aria-label")}: ${held} ${key}`)));
        }"""
    )


def two_frames(page: Page) -> None:
    """Until what the page has been told is drawn."""
    page.evaluate("() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")


def look_again(page: Page) -> None:
    """Come back to the page's window, which then asks the server at once."""
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")


def all_is_asked(page: Page) -> None:
    """Until the page has asked what it asks by itself: its header comes last."""
    page.wait_for_function(
        "() => performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/where'))"
    )


def server_calls(page: Page) -> list[str]:
    """What the page asks the server from now on, but for what it asks once and late."""
    asked: list[str] = []

    def keep(request: Request) -> None:
        late = request.url.endswith(("/where", "/viewer", "/verdict", "/races", "/hub"))
        if re.search(r"/cdvft(/|$)", request.url) and not late:
            asked.append(f"{request.url} {request.post_data}")

    page.on("request", keep)
    return asked


def requests(page: Page) -> list[str]:
    """What the page has asked its server for, the page itself too; not its icon, once for each address."""
    asked: list[str] = page.evaluate("() => performance.getEntriesByType('resource').map(({ name }) => name)")
    return [
        page.url,
        *(name for name in asked if not name.startswith("data:") and "/favicon.ico" not in name),
    ]


def own_requests(page: Page) -> list[str]:
    """Of these what is not what Gradio's own page and components are made of."""
    of_gradio = re.compile(r"^https?://[^/]+/(assets|static)/|/theme\.css|/gradio_api/(heartbeat|queue)/")
    return [name for name in requests(page)[1:] if not of_gradio.search(name)]


def fetched_megabytes(page: Page) -> float:
    """All that a visit brings as it travels, compressed, whether or not the browser had it already."""
    return page.evaluate(
        """() => ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
             .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0) / 1e6"""
    )


def start_race(page: Page, steps: int = 40) -> None:
    """Fill in so many steps and press Start, once the page holds what the browser remembers."""
    expect(page.locator("#start")).to_be_enabled()
    fill_in(steps_at_most(page), str(steps))
    expect(page.locator("#start")).to_be_enabled()
    before = page.url
    page.locator("#start").click()
    page.wait_for_url(lambda url: "run=" in url and url != before)  # the race before may stand in it


def open_fold(page: Page, name: str | re.Pattern[str]) -> None:
    """Open a fold of settings, if it is not open."""
    fold = page.locator(".fold > button").filter(has_text=name)
    fold.wait_for()
    if "open" not in (fold.get_attribute("class") or "").split():
        fold.click()


def steps_at_most(page: Page) -> Locator:
    open_fold(page, re.compile(r"^\s*Training"))
    return page.get_by_label("Max steps")


def setting(page: Page, name: str) -> Locator:
    """One of the methods' own settings; the fold that it is in is opened."""
    open_fold(page, "Method settings")
    return page.locator(f"#set-{name} input")


def status(page: Page) -> Locator:
    return page.locator("#run .status")


def judged(page: Page) -> None:
    """Until the verdict on a race that is over has come, which moves what stands below it."""
    expect(page.locator("#run .outcome")).to_be_visible()


_ports: list[int] = []


def port() -> int:
    """That of the server before, once it is given back: a browser keeps what it fetched by address."""
    if not _ports or not is_free(_ports[-1]):
        _ports.append(free_port())
    return _ports[-1]


class Server:
    """The app in this process; `restart` is a new program over the same runs and port."""

    def __init__(self, folder: Path) -> None:
        self.folder = self.runs = folder
        self.port = port()
        self.url = f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        Context.id = 0  # as in a new process: an open page calls the parts by the numbers it knows
        self.store = RunStore(self.folder)
        self.queue = RunQueue(self.store, executor=InProcess(fake_training.train))
        self.page = build(AppState.make(self.store, self.queue))
        wait_for(lambda: is_free(self.port))  # at a restart, for the one before to give it back
        # Gradio gives its server five seconds to begin, and three for an answer: they last longer here on a
        # machine that is busy.
        slower_by = pace()
        slower = SimpleNamespace(sleep=time.sleep, time=lambda: time.monotonic() / slower_by)
        with patch.object(http_server, "time", slower), patch.object(networking, "url_ok", self._answers):
            self.page.launch(
                prevent_thread_lock=True,
                quiet=True,
                server_name="127.0.0.1",
                server_port=self.port,
                **launch_arguments(),
            )
        self.queue.start()

    @staticmethod
    def _answers(address: str) -> bool:
        return wait_for(lambda: httpx.head(address, timeout=30 * pace()).is_success)

    def stop(self) -> None:
        self.page.close(verbose=False)
        self.queue.close()

    def restart(self) -> None:
        self.stop()
        self.start()


def client_of(server: Server, **options: object) -> Client:
    """As programs call it; Gradio's own patience is five seconds, also where the machine is busy."""
    return Client(server.url, verbose=False, httpx_kwargs={"timeout": 30 * pace()}, **options)
