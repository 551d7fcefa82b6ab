"""Headers that a stranger makes up: nobody's time is taken, no name is let in, nothing ends in an error."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from in_process_server import PublicServer, public_server
from waiting import pace

RACE = {"methods": ["cdvft"], "max_steps": 3}
HERE = "address 127.0.0.1"


@pytest.fixture(scope="module")
def server() -> Iterator[PublicServer]:
    with public_server(CDVFT_CODES="blue-7", FORWARDED_ALLOW_IPS="") as made:
        yield made


@pytest.mark.parametrize(
    ("headers", "counted_for"),
    [
        ({}, HERE),
        ({"x-cdvft-code": "blue-7"}, "code blue-7"),
        ({"x-cdvft-code": "blue-8"}, HERE),
        ({"x-cdvft-code": "%ff%00"}, HERE),
        ({"x-cdvft-visitor": "account%20ada"}, HERE),
        ({"x-cdvft-visitor": "account%20ada." + "0" * 64}, HERE),
        ({"x-cdvft-visitor": "." * 5000}, HERE),
        ({"x-forwarded-for": "203.0.113.7"}, HERE),
        ({"forwarded": "for=203.0.113.7"}, HERE),
        ({"x-real-ip": "203.0.113.7"}, HERE),
        ({"cf-connecting-ip": "203.0.113.7"}, HERE),
        ({"x-gradio-user": "ada"}, HERE),
        ({"authorization": "Bearer ada", "x-forwarded-user": "ada"}, HERE),
        ({"cookie": "cdvft-code=blue-8; session=ada; access-token-unsecure-x=y"}, HERE),
        ({"cookie": "cdvft-viewer=" + "0" * 64}, HERE),
        ({"cookie": "=;;=;\u00ff; " + "a" * 3000}, HERE),
    ],
)
def test_whose_time_it_is_cannot_be_made_up(server: PublicServer, headers, counted_for) -> None:
    sent = {name: value.encode("latin-1") for name, value in headers.items()}
    ok, said = server.call("start", RACE, **sent)
    assert ok, said
    run = server.store.get(said["run_ids"][0])
    server.store.ask_to_stop(run.id)
    assert run.visitor == counted_for


def status(server: PublicServer, *lines: str, body: str = "") -> str:
    """Of the answer to a request that no client would send."""
    request = "\r\n".join([*lines, f"content-length: {len(body)}", "", body])
    with socket.create_connection(("127.0.0.1", server.port), 10 * pace()) as connection:
        connection.sendall(request.encode("latin-1"))
        return connection.recv(4096).decode("latin-1").split(" ", 2)[1]


@pytest.mark.parametrize(
    "names",
    [
        ["host: evil.example.org", "x-forwarded-host: 127.0.0.1"],
        ["host: evil.example.org", "host: 127.0.0.1"],
        ["host: 127.0.0.1, evil.example.org"],
        ["host: \x00127.0.0.1"],
        ["host: 127.0.0.1\\@evil.example.org"],
        [],
    ],
)
def test_no_other_name_is_answered(server: PublicServer, names: list[str]) -> None:
    assert status(server, "GET /gradio_api/info HTTP/1.1", *names) in ("400", "403")


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/json; charset=utf-7"},
        {"content-type": "multipart/form-data; boundary="},
        {"content-length": "-1"},
        {"content-encoding": "br"},
        {"transfer-encoding": "identity"},
        {"range": "bytes=0-1,5-4,-99999999999"},
        {"accept-encoding": "gzip;q=x, \x7f"},
        {"accept-language": "a" * 9000},
        {"x-forwarded-proto": "javascript"},
        {"x-forwarded-host": "evil.example.org, [::1"},
        {"if-none-match": "\u00ff"},
    ],
)
def test_no_header_ends_in_an_error(server: PublicServer, headers: dict[str, str]) -> None:
    lines = [f"{name}: {value}" for name, value in headers.items()]
    for first, body in (("GET /", ""), ("POST /gradio_api/call/state", '{"data": ["x"]}')):
        answered = status(server, f"{first} HTTP/1.1", f"host: 127.0.0.1:{server.port}", *lines, body=body)
        assert answered[0] in "24", (first, answered)


@pytest.mark.parametrize(
    "name", ["evil.example.org", "127.0.0.1, evil.example.org", "evil.example.org, 127.0.0.1"]
)
def test_a_forwarded_name_is_an_address_of_the_page_only_if_it_is_known(server, monkeypatch, name) -> None:
    answer = server.http.get("/", headers={"x-forwarded-host": name})
    assert answer.status_code == 403 and "CDVFT_HOSTS" in answer.text and "<html" not in answer.text
    monkeypatch.setenv("CDVFT_HOSTS", "evil.example.org")
    assert server.http.get("/", headers={"x-forwarded-host": name}).status_code == 200
