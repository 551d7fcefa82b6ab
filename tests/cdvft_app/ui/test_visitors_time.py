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


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "owner/space")
    monkeypatch.setenv("OAUTH_CLIENT_SECRET", "of the hub")


@pytest.mark.usefixtures("space")
@pytest.mark.parametrize(
    ("session", "who"),
    [(SIGNED_IN, "account ada"), ({}, "address 192.0.2.1"), (None, "address 192.0.2.1")],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_on_a_space_the_account_of_the_hub_is_counted(session, who, wrapped):
    with asking(gr.Request(plain(session)) if wrapped else plain(session)):
        assert visitor() == who


@pytest.mark.usefixtures("space")
def test_whoever_signs_in_has_the_budget_of_the_account_and_is_told_so(app: AppState):
    app.store.spending.charge("account ada", "training", 600)
    with asking(plain(SIGNED_IN, "192.0.2.1")):
        here = standing(app.queue.budget, None)
    with asking(plain(SIGNED_IN, "198.51.100.7")):
        elsewhere = standing(app.queue.budget, None)
    with asking(plain({}, "192.0.2.1")):
        unknown = standing(app.queue.budget, None)
    assert here == elsewhere and here["visitor"] == "your account" and here["short"] == "20 min left"
    assert (unknown["visitor"], unknown["short"]) == ("your network address", "30 min left")


@pytest.mark.parametrize("named", ["SPACE_ID", "OAUTH_CLIENT_SECRET"])
def test_a_session_that_anybody_could_sign_is_no_account(named, monkeypatch):
    """Without the hub's secret Gradio signs with one that everybody knows."""
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv(named, "given")
    with asking(plain(SIGNED_IN)):
        assert visitor() == "address 192.0.2.1"


@pytest.mark.parametrize(
    ("request_", "who"),
    [
        (plain(None, cookie="access-token-unsecure-1=known"), "account ada"),
        (plain(None, cookie="access-token-1=known"), "account ada"),
        (plain(None, cookie="access-token-1=made-up"), "address 192.0.2.1"),
        (plain(None, cookie="access-token-2=known"), "address 192.0.2.1"),
        (gr.Request(plain(None), username="ada"), "account ada"),
    ],
)
def test_gradios_own_login_is_an_account(request_, who, monkeypatch):
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    with asking(request_):
        assert visitor() == who


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
        *_, last = measure.measured(app, measure.WaitingLine(), values)
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
    assert {one.visitor: one.seconds for one in app.store.spending.visitors(0)} == {
        "address 192.0.2.1": 14,
        "address 192.0.2.9": 7,
    }
