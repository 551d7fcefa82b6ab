"""A class of thirty behind one address, on a public server: no request is refused."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import pytest
from served import Served

from cdvft_app.lessons import classes
from cdvft_app.ui.build import build
from cdvft_app.ui.learn.classroom import server_functions
from cdvft_app.ui.shared.state import AppState

STUDENTS, ROUNDS = 30, 5
SCHOOL = "192.0.2.7"


@pytest.fixture
def served(app: AppState, monkeypatch: pytest.MonkeyPatch) -> Served:
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return Served(build(app))


class Asking:
    """Asks a server function; `refused` says what was not answered."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    async def __call__(self, client: httpx.AsyncClient, function: str, body: dict[str, Any]) -> Any:
        answer = await client.post(f"/cdvft/{function}", json=body)
        if answer.status_code != 200 or "error" in answer.json():
            self.refused.append(f"{function}: {answer.status_code} {answer.text[:200]}")
        return answer.json()


@pytest.mark.anyio
async def test_thirty_students_of_one_address_are_served(served: Served, monkeypatch) -> None:
    measured, looked_up = [], []
    monkeypatch.setattr("cdvft_app.lessons.crossover.measured", lambda: measured.append(1) or {"lengths": []})

    def kind() -> str:
        """As slow as the first import of torch."""
        looked_up.append(1)
        time.sleep(1)
        return "cpu"

    monkeypatch.setattr("cdvft_app.ui.header.kind_of_training", kind)
    asked = Asking()

    async def student(client: httpx.AsyncClient, code: str, number: int) -> None:
        me = {"code": code, "student": f"browser {number}"}
        await asked(client, "page/header/where", {})
        await asked(client, "learn/products/crossover", {})
        for _ in range(ROUNDS):
            await asked(client, "learn/class_bar/seen", me)
        await asked(client, "learn/class_bar/vote", {**me, "question": "rank-zero", "given": 1 + number % 9})

    async with served.in_loop(SCHOOL, timeout=300) as client:
        started = await asked(client, "learn/class_start/start", {})
        await asyncio.gather(*(student(client, started["code"], number) for number in range(STUDENTS)))
        seen = await asked(client, "learn/class_bar/seen", started)
        table = (await asked(client, "learn/class_start/table", started))["csv"]
        code = await asked(client, "learn/class_start/code", {"address": "http://127.0.0.1/?class=ABCDE"})
    assert asked.refused == []
    assert code["image"].startswith("data:image/svg+xml")
    assert sum(seen["votes"]["rank-zero"].values()) == STUDENTS
    assert len(table.splitlines()) == 1 + STUDENTS
    assert len(json.dumps(seen)) < 1000
    assert len(measured) == len(looked_up) == 1, "what the server measures or looks up is shared"
    assert "browser" not in table and SCHOOL not in json.dumps(seen)


@pytest.mark.anyio
async def test_thirty_students_of_one_address_open_a_layer(served: Served) -> None:
    """To which every lesson links: a recorded run, its layers, and the numbers about them."""
    run = {"run": "recorded-cdvft"}
    asked = Asking()

    async def student(client: httpx.AsyncClient) -> None:
        await asked(client, "factors/tab/runs", {})
        opened = await asked(client, "factors/tab/open", run)
        layer = {**run, "module": opened["layers"][-1]["module"]} if "layers" in opened else run
        questions = {"layer": layer, "singular": layer, "overview": {**run, "first": 0}}
        questions["effects"] = questions["overview"]
        await asyncio.gather(*(asked(client, f"factors/tab/{name}", one) for name, one in questions.items()))

    async with served.in_loop(SCHOOL, timeout=300) as client:
        await asyncio.gather(*(student(client) for _ in range(STUDENTS)))
    assert asked.refused == []


def test_unusable_folder_is_an_error_without_paths(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    asked = server_functions(tmp_path / "missing")
    for refused in (asked["start"]({}), asked["seen"]({"code": "QQQQQ", "key": "hers"})):
        assert refused["error"] and str(tmp_path) not in refused["error"]


def test_missing_or_full_class_tells_students_to_leave(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(classes, "MAX_STUDENTS", 1)
    asked = server_functions(tmp_path)
    code = asked["start"]({})["code"]
    assert asked["seen"]({"code": code, "student": "ada"})["students"] == 1
    assert asked["seen"]({"code": code, "student": "bob"}) == {"gone": classes.FULL.format(limit=1)}
    assert asked["seen"]({"code": "QQQQQ", "student": "ada"}) == {"gone": classes.NO_CLASS}


def test_guesses_at_class_codes_are_limited(tmp_path) -> None:
    asked = server_functions(tmp_path)
    code = asked["start"]({})["code"]
    answers = [asked["seen"]({"code": f"QQQ{a}{b}", "student": "eve"}) for a in "ABCD" for b in "ABCDE"]
    assert 0 < sum("gone" in answer for answer in answers) <= 10 and "error" in answers[-1]
    assert asked["seen"]({"code": code, "student": "eve"}).get("students") is None  # held up for a minute
