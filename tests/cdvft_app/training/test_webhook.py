"""What the operator's address hears of a run's end, and that nobody suffers from one that does not answer."""

import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from queued_runs import RUN, FakeTrainer
from waiting import wait_for

from cdvft_app.settings import RunSettings
from cdvft_app.store import replication
from cdvft_app.training import webhook


@pytest.fixture
def hook(monkeypatch):
    """An address; what was posted to it; and what it answers."""
    heard, answers = [], {"status": 200}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answers["status"])
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("CDVFT_WEBHOOK", f"http://127.0.0.1:{server.server_address[1]}/secret-path")
    yield heard, answers
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def ended(store):
    (run,) = store.create([RUN], None, "Films", "1:1")
    store.set_state(run.id, "failed", "The loss is infinite.")
    return store.get(run.id)


def test_the_queue_tells_of_each_run_that_ends(store, queue, hook):
    heard, _ = hook
    ids = queue(FakeTrainer()).submit([RUN, RunSettings(method="lora")], "a", "race")
    wait_for(lambda: len(heard) == 2)
    told = {one["run_id"]: one for one in heard}
    assert set(told) == set(ids)
    first = told[ids[0]]
    assert first["event"] == "run_ended" and first["race_id"] == store.get(ids[0]).group_id
    assert (first["state"], first["reason"]) == ("finished", None)
    assert (first["metric_name"], first["metric"]) == ("accuracy", 0.75)
    assert (first["name"], first["method"], first["step"]) == ("race", "cdvft", 3)
    assert "a" not in first.values() and not any("token" in key for key in first)


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_the_address_refuses_is_one_line_without_its_path(hook, ended, status, caplog):
    heard, answers = hook
    answers["status"] = status
    with caplog.at_level(logging.WARNING):
        webhook.notify(ended)
    assert len(heard) == 1 and len(caplog.records) == 1
    said = caplog.records[0].getMessage()
    assert f"127.0.0.1 answered {status}" in said and ended.id in said and "secret-path" not in said


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/secret", "ftp://127.0.0.1/secret", "nonsense", "http://"]
)
def test_an_address_that_is_none_or_away_is_one_line(monkeypatch, ended, address, caplog):
    monkeypatch.setenv("CDVFT_WEBHOOK", address)
    with caplog.at_level(logging.WARNING):
        webhook.notify(ended)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("CDVFT_WEBHOOK") and "secret" not in said


def test_without_an_address_nobody_is_told(monkeypatch, ended, caplog):
    monkeypatch.delenv("CDVFT_WEBHOOK", raising=False)
    webhook.notify(ended)
    assert not caplog.records


def test_a_run_that_is_deleted_as_soon_as_it_ended_is_not_told_of(store, queue, hook, monkeypatch):
    failed = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    monkeypatch.setattr(replication, "replicate", lambda store, run_id: store.remove(run_id))
    working = queue(FakeTrainer())
    (run_id,) = working.submit([RUN], "a", "race")
    wait_for(lambda: store.get(run_id) is None)
    working.close()
    for thread in threading.enumerate():
        if thread.name == "webhook":
            thread.join()
    assert not failed and hook[0] == []
