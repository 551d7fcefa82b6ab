"""What a proxy and Prometheus are told: whether runs are taken, how many there are, nothing of anybody."""

from __future__ import annotations

import pytest
from served import Served

from cdvft_app.public import operator
from cdvft_app.public.guessing import Guesses
from cdvft_app.settings import RunSettings
from cdvft_app.ui.shared.state import AppState

KEY = "open, sesame seed"


@pytest.fixture(autouse=True)
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("CDVFT_OPERATOR_KEY", KEY)
    monkeypatch.setattr(operator, "_guesses", Guesses("keys"))


def test_it_lives_at_once_and_is_ready_when_runs_are_taken(app: AppState, served: Served) -> None:
    by_address = {"host": "10.1.2.3:7860"}  # as a proxy or an orchestrator asks, which knows no name
    asked = served.client("10.1.2.4")
    assert asked.get("/healthz", headers=by_address).status_code == 200
    assert asked.get("/readyz", headers=by_address).status_code == 503
    app.queue.start()
    assert asked.get("/readyz", headers=by_address).status_code == 200
    app.queue.close()
    assert asked.get("/readyz", headers=by_address).status_code == 503


def test_metrics_count_and_name_nobody(app: AppState, served: Served) -> None:
    about = {"name": "a secret name", "visitor": "code blue-7"}
    app.store.create([RunSettings(method="lora")] * 3, "an owner's token", **about)
    asked = served.first
    for number in range(5):
        served.client(f"192.0.2.{number}").post("/cdvft/run/poll", json={"cursors": {"0" * 32: 0}})
    asked.post("/cdvft", json=[])  # what parts ask together is a poll, too
    told = asked.get("/metrics")
    assert told.status_code == 200 and told.headers["content-type"].startswith("text/plain")
    lines = dict(line.rsplit(" ", 1) for line in told.text.splitlines() if not line.startswith("#"))
    assert lines['cdvft_runs{state="queued"}'] == "3.0" and lines['cdvft_runs{state="finished"}'] == "0.0"
    assert lines["cdvft_queue_length"] == "3.0"
    assert lines["cdvft_visitors"] == "6.0"
    assert lines["cdvft_poll_seconds_count"] == "6.0"
    assert float(lines["cdvft_received_bytes_total"]) > 100 and float(lines["cdvft_sent_bytes_total"]) > 0
    (run, *_) = app.store.history()
    for secret in ("secret", "owner", "blue-7", "192.0.2", KEY, run.id):
        assert secret not in told.text


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {"host": "[::1]:7860"}, 200),
        ("203.0.113.7", {}, 401),
        ("127.0.0.1", {"x-forwarded-for": "203.0.113.7"}, 401),  # a proxy here, for somebody
        ("127.0.0.1", {"x-real-ip": "203.0.113.7"}, 401),
        ("127.0.0.1", {"host": "studio.example.org"}, 401),
        ("203.0.113.7", {"authorization": f"Bearer {KEY}"}, 200),
        ("203.0.113.7", {"authorization": "Bearer guessed"}, 401),
        ("203.0.113.7", {"authorization": f"Basic {KEY}"}, 401),
    ],
)
def test_metrics_of_a_public_server_are_for_its_operator(shared_page, address, headers, status) -> None:
    answer = shared_page.client(address).get("/metrics", headers=headers)
    assert answer.status_code == status
    assert (status == 200) == ("cdvft_runs" in answer.text)


def test_the_key_is_not_guessed_here_either(shared_page: Served) -> None:
    asked = shared_page.client("203.0.113.8")
    told = [asked.get("/metrics", headers={"authorization": f"Bearer {n}"}).status_code for n in range(30)]
    assert told == [401] * 10 + [429] * 20


def test_metrics_of_a_private_server_are_for_its_names(shared_page: Served, monkeypatch) -> None:
    monkeypatch.setenv("CDVFT_PUBLIC", "0")
    assert shared_page.first.get("/metrics").status_code == 200
    assert shared_page.first.get("/metrics", headers={"host": "rebound.example.com"}).status_code == 401
