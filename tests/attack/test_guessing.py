"""Codes and passwords cannot be guessed at speed, and who knows one is not held up by who does not."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from in_process_server import PublicServer, public_server

from cdvft_app.public import visitors
from cdvft_app.public.guessing import Guesses, TooManyGuesses

WAIT = re.compile(r"Wait (\d+) s")


@pytest.fixture(autouse=True)
def nobody_guessed_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "_guesses", Guesses("codes"))


@pytest.fixture(scope="module")
def server() -> Iterator[PublicServer]:
    with public_server(CDVFT_CODES="blue-7, red-9") as made:
        yield made


def ask_header(server: PublicServer, function: str, data: object, **headers: str) -> dict:
    """A server function of the header's, as the page calls it."""
    (found,) = (one for one in server.functions() if one[1] == function)
    answer = server.ask(found, data, **headers)
    assert answer.status_code == 200
    return answer.json()


def test_codes_are_guessed_no_faster(server: PublicServer) -> None:
    def standing(code: str) -> dict:
        return ask_header(server, "standing", {}, **{"x-cdvft-code": code})

    told = [standing(f"blue-{number}")["text"] for number in range(100, 150)]
    assert sum("not one of this class" in text for text in told) == 10
    assert WAIT.search(told[-1])
    assert standing("blue-7")["visitor"] == "your network address"
    for _ in range(3):  # a page that keeps an old code goes on asking with it
        assert standing("blue-100")["text"]


def test_passwords_are_guessed_no_faster(tmp_path: Path) -> None:
    file = tmp_path / "logins"
    file.touch(mode=0o600)
    pupils = [f"pupil{number}" for number in range(30)]
    file.write_text("".join(f"{name}:{name}s own\n" for name in pupils))
    with public_server(CDVFT_LOGINS=str(file)) as server:

        def login(name: str, password: str) -> tuple[int, str, str]:
            answer = server.http.post("/login", data={"username": name, "password": password})
            return answer.status_code, answer.text, answer.headers.get("retry-after", "")

        assert {login(name, f"{name}s own")[0] for name in pupils} == {200}  # a class behind one address
        told = [login("pupil1", f"guess {number}") for number in range(40)]
        assert [status for status, _, _ in told] == [400] * 10 + [429] * 30
        _, text, after = told[-1]
        assert WAIT.search(text) and 0 < int(after) <= 60
        assert login("pupil2", "pupil2s own")[0] == 200  # who came before comes again


def test_many_addresses_together_are_no_faster() -> None:
    guesses, compared = Guesses("keys"), []

    def guess(number: int) -> None:
        with suppress(TooManyGuesses):
            guesses.judge(f"address {number}", f"guess {number}", lambda: bool(time.sleep(0.001)))
            compared.append(number)

    with ThreadPoolExecutor(16) as threads:
        threads.map(guess, range(200))
    assert len(compared) == 60
