"""A public server, walked as two visitors of a class and as its operator."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from studio import Hold, Visit, axe_violations, start_race, status

KEY = "open, sesame seed"


@pytest.fixture(scope="module", autouse=True)
def public(hub_offline: None) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CDVFT_PUBLIC", "1")
        patch.setenv("CDVFT_CODES", "blue-7, red-9")
        patch.setenv("CDVFT_OPERATOR_KEY", KEY)
        yield


def server_dialog(page: Page):
    page.get_by_role("button", name=re.compile("^Public")).click()
    return page.get_by_role("dialog", name="This server")


def come_as(page: Page, code: str) -> None:
    dialog = server_dialog(page)
    dialog.get_by_label("Code of your class").fill(code)
    dialog.get_by_role("button", name="Use").click()
    expect(dialog).to_contain_text("counted for your code")
    dialog.get_by_role("button", name="Close").click()


def test_two_visitors_and_an_operator(server, visit: Visit, hold: Hold) -> None:
    hold(10)
    first, second = visit(), visit()
    expect(first.get_by_role("button", name="Public · 30 min left")).to_be_visible()
    come_as(first, "blue-7")
    come_as(second, "red-9")
    start_race(first)
    expect(status(first)).to_contain_text("Training", ignore_case=True)
    start_race(second)
    runs = {run.id: run for run in server.store.history()}
    assert {run.visitor for run in runs.values()} == {"code blue-7", "code red-9"}
    waiting = {
        server.store.queue_place(run.id): run.visitor for run in runs.values() if run.state == "queued"
    }
    assert [waiting[place] for place in (1, 2, 3)] == ["code red-9", "code blue-7", "code red-9"]

    red = next(run.id for run in runs.values() if run.visitor == "code red-9")
    server.store._update(red, name="secret")
    first.reload()
    expect(first.locator("#history")).to_contain_text("Sentiment")
    expect(first.locator("#history")).not_to_contain_text("secret")

    dialog = server_dialog(second)
    dialog.get_by_text("For the operator").click()
    dialog.get_by_label("Operator's key").fill("sesame, open seed")
    dialog.get_by_role("button", name="Open").click()
    expect(dialog).to_contain_text("not the operator's key")
    dialog.get_by_label("Operator's key").fill(KEY)
    dialog.get_by_role("button", name="Open").click()
    expect(dialog.get_by_role("region", name="Who uses this server")).to_contain_text("code blue-7")
    expect(dialog.get_by_role("region", name="Runs")).to_contain_text("secret")
    assert axe_violations(second, "dialog") == []
    dialog.get_by_role("button", name=re.compile("Clear the queue")).click()
    expect(dialog.get_by_role("button", name="Clear the queue (0)")).to_be_disabled()
    dialog.get_by_role("button", name=re.compile("^stop")).first.click()
    hold(None)
    expect(status(first)).to_contain_text("stopped", ignore_case=True)
    assert KEY not in second.url and "sesame" not in str(second.context.cookies())
