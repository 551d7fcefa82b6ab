from __future__ import annotations

from http.server import BaseHTTPRequestHandler

import pytest

from cdvft_app import catalog
from cdvft_app.catalog import hub
from cdvft_app.catalog.hub import HubError, hub_status, snapshot

pytestmark = pytest.mark.usefixtures("hub_client")


def answering(action) -> type[BaseHTTPRequestHandler]:
    """A server that does one thing whatever it is asked."""
    quiet = {"do_HEAD": action, "log_message": lambda *_: None}
    return type("Handler", (BaseHTTPRequestHandler,), quiet)


@pytest.mark.parametrize(
    ("code", "reachable", "sentence"),
    [
        (200, True, "The hub answers."),
        (404, True, "The hub answers."),
        (401, True, "The hub answers."),
        (503, False, "The hub is out of order (it answers 503)."),
    ],
)
def test_a_hub_that_answers_is_asked_once_a_minute(
    code: int, reachable: bool, sentence: str, serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def answer(self: BaseHTTPRequestHandler) -> None:
        asked.append(self.path)
        self.send_response(code)
        self.end_headers()

    monkeypatch.setenv("HF_ENDPOINT", serve(answering(answer)))
    first, again = hub_status(), hub_status()
    assert first == again
    assert first.reachable == reachable
    assert first.sentence.startswith(sentence)
    assert len(asked) == 1
    monkeypatch.setattr(hub, "STATUS_KEPT", 0.0)
    assert hub_status() == first
    assert len(asked) == 2


def test_a_hub_that_hangs(serve, hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", serve(answering(hanging)))
    monkeypatch.setattr(hub, "STATUS_TIMEOUT", 2.0)
    status = hub_status()
    assert hanging.asked.is_set() and not status.reachable
    assert "did not answer within 2 seconds" in status.sentence


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("HF_ENDPOINT", "http://127.0.0.1:9", "The hub cannot be reached from here."),
        ("HF_ENDPOINT", "no address", "The hub cannot be reached from here."),
        ("HF_HUB_OFFLINE", "1", "HF_HUB_OFFLINE is set, so the hub is not asked."),
    ],
)
def test_no_hub(name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    status = hub_status()
    assert not status.reachable
    assert status.sentence == f"{sentence} {hub.OFFLINE_RECIPES}"
    with pytest.raises(HubError) as caught:
        snapshot("owner/tiny", "model", None, title="Tiny")
    assert str(caught.value) == f"Tiny is not in the cache, and it cannot be fetched. {status.sentence}"


def test_the_recipes_that_are_offered_are_the_offline_ones() -> None:
    for key, recipe in catalog.RECIPES.items():
        assert (key in hub.OFFLINE_RECIPES) == recipe.offline
