"""A class behind one address, on a public server: thirty clients at once, and none hears that it is busy."""

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

PUPILS, ROUNDS = 30, 5
SCHOOL = "192.0.2.7"


@pytest.fixture
def served(app: AppState, monkeypatch: pytest.MonkeyPatch) -> Served:
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("CDVFT_CLASS_KEY", "a key of the operator's")
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
async def test_thirty_clients_behind_one_address_are_all_served(served: Served, monkeypatch) -> None:
    measured, looked_up = [], []
    monkeypatch.setattr("cdvft_app.lessons.crossover.measured", lambda: measured.append(1) or {"lengths": []})

    def kind() -> str:
        """As slow as the first import of torch."""
        looked_up.append(1)
        time.sleep(1)
        return "cpu"

    monkeypatch.setattr("cdvft_app.ui.header.kind_of_training", kind)
    asked = Asking()

    async def pupil(client: httpx.AsyncClient, code: str, number: int) -> None:
        me = {"code": code, "pupil": f"browser {number}"}
        await asked(client, "page/header/where", {})
        await asked(client, "learn/products/crossover", {})
        for _ in range(ROUNDS):
            await asked(client, "learn/class_bar/seen", me)
        await asked(client, "learn/class_bar/vote", {**me, "question": "rank-zero", "given": 1 + number % 9})
        drawn = await asked(client, "learn/class_bar/draw", {**me, "kind": "rank"})
        await asked(client, "learn/class_bar/answer", {**me, "number": drawn["number"], "given": 3})
        await asked(client, "learn/class_bar/hand_in", {**me, "state": "?tab=learn&lesson=rank&answer=8"})

    async with served.in_loop(SCHOOL, timeout=300) as client:
        started = await asked(client, "learn/class_start/start", {})
        await asyncio.gather(*(pupil(client, started["code"], number) for number in range(PUPILS)))
        seen = await asked(client, "learn/class_bar/seen", started)
        table = (await asked(client, "learn/class_start/table", started))["csv"]
        code = await asked(client, "learn/class_start/code", {"address": "http://127.0.0.1/?class=ABCDE"})
    assert asked.refused == []
    assert code["image"].startswith("data:image/svg+xml")
    assert seen["pupils"] == PUPILS and sum(seen["votes"]["rank-zero"].values()) == PUPILS
    assert len(table.splitlines()) == 1 + 2 * PUPILS
    assert len(measured) == len(looked_up) == 1, "what the server measures or looks up is shared"
    assert "browser" not in table and SCHOOL not in json.dumps(seen)


@pytest.mark.anyio
async def test_thirty_clients_behind_one_address_look_into_a_real_layer(served: Served) -> None:
    """To which every lesson links: a recorded run, its layers, and the numbers about them."""
    run = {"run": "recorded-cdvft"}
    asked = Asking()

    async def pupil(client: httpx.AsyncClient) -> None:
        await asked(client, "factors/tab/runs", {})
        opened = await asked(client, "factors/tab/open", run)
        layer = {**run, "module": opened["layers"][-1]["module"]} if "layers" in opened else run
        questions = {"layer": layer, "singular": layer, "overview": {**run, "first": 0}}
        questions["effects"] = questions["overview"]
        await asyncio.gather(*(asked(client, f"factors/tab/{name}", one) for name, one in questions.items()))

    async with served.in_loop(SCHOOL, timeout=300) as client:
        await asyncio.gather(*(pupil(client) for _ in range(PUPILS)))
    assert asked.refused == []


def test_a_class_that_cannot_be_kept_is_refused_without_the_servers_paths(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    asked = server_functions(tmp_path / "not there")
    for refused in (asked["start"]({}), asked["seen"]({"code": "QQQQQ", "key": "hers"})):
        assert "cannot keep classes now" in refused["error"] and str(tmp_path) not in refused["error"]


def test_who_asks_for_a_class_that_is_not_there_or_full_is_told_to_leave(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(classes, "MAX_PUPILS", 1)
    asked = server_functions(tmp_path)
    code = asked["start"]({})["code"]
    assert asked["seen"]({"code": code, "pupil": "ada"})["pupils"] == 1
    assert asked["seen"]({"code": code, "pupil": "bob"}) == {"gone": "This class is full, at 1."}
    assert "There is no class of this code" in asked["seen"]({"code": "QQQQQ", "pupil": "ada"})["gone"]
