"""Whose time is counted on a public server, by requests as Gradio makes them, and for what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import anyio
import gradio as gr
import numpy as np
import pytest
from clocks import Clock, set_clock
from in_process import spent
from served import asking
from starlette.requests import Request

from cdvft_app.inspection import background
from cdvft_app.public import budget
from cdvft_app.public.budget import Budget
from cdvft_app.results.answering import Answering
from cdvft_app.settings import RunSettings
from cdvft_app.store import leases, queue, runs, snapshots
from cdvft_app.ui.compare import measure
from cdvft_app.ui.factors import tab as factors
from cdvft_app.ui.header import standing
from cdvft_app.ui.learn import lab
from cdvft_app.ui.shared import server_functions
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.viewing import visitor
from cdvft_app.ui.use import tab as use

SIGNED_IN = {"oauth_info": {"userinfo": {"preferred_username": "ada"}, "expires_at": 0}}


def plain(session: dict[str, Any] | None, address: str = "192.0.2.1", cookie: str = "") -> Request:
    """What a component's function is called with; `session` is what Gradio's signed cookie held."""
    page = SimpleNamespace(cookie_id="1", tokens={"known": "ada"})
    headers = [(b"cookie", cookie.encode())] if cookie else []
    scope: dict[str, Any] = {"type": "http", "headers": headers, "client": (address, 1), "app": page}
    return Request(scope if session is None else {**scope, "session": session})


SPACE = {"SPACE_ID": "owner/space", "OAUTH_CLIENT_SECRET": "of the hub"}
PUBLIC = {"CDVFT_PUBLIC": "1"}
ADA, ADDRESS = "account ada", "address 192.0.2.1"


@pytest.mark.parametrize(
    ("variables", "request_", "who"),
    [
        (SPACE, plain(SIGNED_IN), ADA),
        (SPACE, plain({}), ADDRESS),
        (SPACE, plain(None), ADDRESS),
        (SPACE, gr.Request(plain(SIGNED_IN)), ADA),
        (SPACE, gr.Request(plain({})), ADDRESS),
        (SPACE, gr.Request(plain(None)), ADDRESS),
        # Without the hub's secret Gradio signs with one that everybody knows.
        (PUBLIC | {"SPACE_ID": "given"}, plain(SIGNED_IN), ADDRESS),
        (PUBLIC | {"OAUTH_CLIENT_SECRET": "given"}, plain(SIGNED_IN), ADDRESS),
        # Gradio's own login
        (PUBLIC, plain(None, cookie="access-token-unsecure-1=known"), ADA),
        (PUBLIC, plain(None, cookie="access-token-1=known"), ADA),
        (PUBLIC, plain(None, cookie="access-token-1=made-up"), ADDRESS),
        (PUBLIC, plain(None, cookie="access-token-2=known"), ADDRESS),
        (PUBLIC, gr.Request(plain(None), username="ada"), ADA),
    ],
)
def test_an_account_that_nobody_could_make_up_is_counted_else_the_address(
    variables, request_, who, monkeypatch
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with asking(request_):
        assert visitor() == who


def test_whoever_signs_in_has_the_budget_of_the_account_and_is_told_so(app: AppState, monkeypatch):
    for name, value in SPACE.items():
        monkeypatch.setenv(name, value)
    app.store.spending.charge(ADA, "training", 600)

    def told(session: dict[str, Any], address: str) -> Any:
        with asking(plain(session, address)):
            return standing(app.queue.budget, None)

    here, elsewhere = told(SIGNED_IN, "192.0.2.1"), told(SIGNED_IN, "198.51.100.7")
    unknown = told({}, "192.0.2.1")
    assert here == elsewhere and here["visitor"] == "your account" and here["short"] == "20 min left"
    assert (unknown["visitor"], unknown["short"]) == ("your network address", "30 min left")


@pytest.fixture
def clock(app: AppState, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A public server with ten seconds a visitor."""
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("CDVFT_BUDGET_SECONDS", "10")
    made = Clock()
    set_clock(monkeypatch, (budget, leases, queue, runs), time=made, monotonic=made)
    app.queue.budget = Budget(app.store, made)
    return made


@pytest.fixture
def work(app: AppState, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], str | None]]:
    """What a visitor may ask this machine to compute, each by the page's own handler, and each takes seven
    seconds here; gives the refusal."""
    (run,) = app.store.create([RunSettings(method="cdvft")], "t")
    snapshots.write(app.store.folder(run.id), 0, {"x": np.zeros(1, np.float32)})

    def taking(answer: Any) -> Callable[..., Any]:
        def take(*_: object, **about: object) -> Any:
            clock.now += 7
            return answer

        return take

    def measured_after_others() -> Iterator[dict[str, Any]]:
        yield taking({"kind": "waiting", "place": 1})()
        yield taking({"kind": "on"})()

    monkeypatch.setattr(background.Inspector, "_answer", taking({"q": 1.0}))
    monkeypatch.setattr(Answering, "_answer", taking({"sides": []}))
    monkeypatch.setattr(lab.children, "stream", lambda *_: iter([taking(lab.EMPTY)()]))
    monkeypatch.setattr(measure, "measuring", lambda *_: measured_after_others())
    with gr.Blocks() as page:
        factors.build(app)
        lab.lab(app)
        use.build(app)
    weights = server_functions.known(page)["factors/tab/weights"].answer
    handlers = {handler.api_name: handler for handler in page.fns.values()}
    fit = handlers["fit_shared"]

    async def fitted() -> str | None:
        fields = {block: block.value for block in fit.inputs}
        *_, value = [one async for one in fit.fn(fields, gr.Request(session_hash="mine"))]
        return value["sentence"] or None

    def measured() -> str | None:
        values = {"model": "roberta-base", "methods": ["lora"]}
        *_, last = measure.measured(app, measure.WaitingLine(), values, lambda: False)
        return last["text"] if last["state"] == "failed" else None

    def predicted() -> str | None:
        try:
            handlers["predict"].fn([run.id], ["good"])
        except gr.Error as refused:
            return str(refused.message)
        return None

    return {
        "factors": lambda: anyio.run(weights, {"run": run.id}).get("error"),
        "fit": lambda: anyio.run(fitted),
        "measure": measured,
        "predict": predicted,
    }


@pytest.mark.parametrize("what", ["factors", "fit", "measure", "predict"])
def test_what_is_computed_is_counted_for_whoever_asks(app: AppState, work, what):
    def ask(address: str) -> str | None:
        with asking(plain(None, address)):
            return work[what]()

    assert ask("192.0.2.1") is None
    assert app.queue.budget.balance("address 192.0.2.1").left == 3
    assert ask("192.0.2.1") is None  # what was begun is ended
    refused = ask("192.0.2.1")
    assert refused and refused.startswith("0 s of your 10 s of this server are left.")
    assert ask("192.0.2.9") is None
    assert spent(app.store, "address 192.0.2.1") == 14 and spent(app.store, "address 192.0.2.9") == 7
