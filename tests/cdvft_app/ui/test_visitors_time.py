"""Whose time is counted on a public server, by requests as Gradio makes them, and that Factors takes some."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import anyio
import gradio as gr
import numpy as np
import pytest
from gradio.context import LocalContext
from starlette.requests import Request

from cdvft_app.inspection import background
from cdvft_app.public.budget import Budget
from cdvft_app.settings import RunSettings
from cdvft_app.store import snapshots
from cdvft_app.ui.factors import tab as factors
from cdvft_app.ui.server import standing
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.viewing import visitor

SIGNED_IN = {"oauth_info": {"userinfo": {"preferred_username": "ada"}, "expires_at": 0}}


def plain(session: dict[str, Any] | None, address: str = "192.0.2.1") -> Request:
    """What a component's function is called with; `session` is what Gradio's signed cookie held."""
    page = SimpleNamespace(cookie_id="1", tokens={})
    scope: dict[str, Any] = {"type": "http", "headers": [], "client": (address, 1), "app": page}
    return Request(scope if session is None else {**scope, "session": session})


@contextmanager
def asking(request: object) -> Iterator[None]:
    token = LocalContext.request.set(request)  # type: ignore[arg-type]
    try:
        yield
    finally:
        LocalContext.request.reset(token)


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
        here = standing(app.queue.budget)
    with asking(plain(SIGNED_IN, "198.51.100.7")):
        elsewhere = standing(app.queue.budget)
    with asking(plain({}, "192.0.2.1")):
        unknown = standing(app.queue.budget)
    assert here == elsewhere and here["visitor"] == "your account" and here["short"] == "20 min left"
    assert (unknown["visitor"], unknown["short"]) == ("your network address", "30 min left")


@pytest.mark.parametrize("named", ["SPACE_ID", "OAUTH_CLIENT_SECRET"])
def test_a_session_that_anybody_could_sign_is_no_account(named, monkeypatch):
    """Without the hub's secret Gradio signs with one that everybody knows."""
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv(named, "given")
    with asking(plain(SIGNED_IN)):
        assert visitor() == "address 192.0.2.1"


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(app: AppState, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A public server with ten seconds a visitor, where a question to Factors takes seven."""
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("CDVFT_BUDGET_SECONDS", "10")
    made = Clock()
    monkeypatch.setattr("cdvft_app.store.spending.time.time", made)
    app.queue.budget = Budget(app.store, made)

    class Answers:
        def __init__(self, *_: object) -> None:
            pass

        def alive(self) -> bool:
            return True

        def ask(self, question: object, longest: float) -> tuple[Any, None]:
            made.now += 7
            return {"q": 1.0}, None

    monkeypatch.setattr(background, "Conversation", Answers)
    return made


def test_computing_of_factors_is_counted_for_whoever_asks(app: AppState, clock, monkeypatch):
    (run,) = app.store.create([RunSettings(method="cdvft")], "t")
    snapshots.write(app.store.folder(run.id), 0, {"x": np.zeros(1, np.float32)})
    asked: dict[str, Any] = {}
    monkeypatch.setattr(
        factors, "component", lambda _, *, server_functions, **more: asked.update(server_functions)
    )
    factors.build(app)

    def weights(address: str, of: str) -> Any:
        with asking(plain(None, address)):
            return anyio.run(asked["weights"], {"run": of})

    assert weights("192.0.2.1", run.id) == {"weights": {"q": 1.0}}
    assert app.queue.budget.balance("address 192.0.2.1").left == 3
    assert weights("192.0.2.1", run.id) == {"weights": {"q": 1.0}}  # what was begun is ended
    refused = weights("192.0.2.1", run.id)
    assert refused["error"].startswith("0 s of your 10 s of this server are left.") and not refused["busy"]
    assert weights("192.0.2.9", run.id) == {"weights": {"q": 1.0}}
    assert app.queue.budget.balance("address 192.0.2.9").left == 3
    assert {one.visitor: one.seconds for one in app.store.spending.visitors(0)} == {
        "address 192.0.2.1": 14,
        "address 192.0.2.9": 7,
    }
