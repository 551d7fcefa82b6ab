"""The endpoints as tools of the Model Context Protocol, called by its own client."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest
from api_description import KEPT
from ports import free_port

from cdvft_app.ui.build import build
from cdvft_app.ui.launching import launch_arguments
from cdvft_app.ui.shared import viewing
from cdvft_app.ui.shared.state import AppState


@pytest.fixture
def address(app: AppState, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("CDVFT_CODES", "blue-7")
    page, port = build(app), free_port()
    page.launch(
        prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", server_port=port, **launch_arguments()
    )
    yield f"http://127.0.0.1:{port}/gradio_api/mcp/"
    page.close(verbose=False)


def asking(address: str, ask: Callable[[Any], Any], **headers: str) -> Any:
    """What `ask` gives for a session of the client's."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def asked() -> Any:
        async with (
            streamablehttp_client(address, headers=headers) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await ask(session)

    with ThreadPoolExecutor(1) as thread:  # a browser of other tests has a loop in this one
        return thread.submit(anyio.run, asked).result()


def call(address: str, tool: str, headers: dict[str, str] | None = None, **arguments: Any) -> Any:
    """The tool's answer, which Gradio writes as Python does; its text where it refuses."""
    answer = asking(address, lambda session: session.call_tool(tool, arguments), **(headers or {}))
    text = answer.content[0].text
    return text if answer.isError else ast.literal_eval(text)


def test_an_agent_finds_recipes_starts_watches_and_stops_a_race(app: AppState, address: str) -> None:
    tools = {tool.name: tool for tool in asking(address, lambda session: session.list_tools()).tools}
    assert {f"/{name}" for name in tools} == json.loads(KEPT.read_text(encoding="utf-8")).keys()
    assert "fine-tune one model by several methods" in tools["start"].description
    settings = tools["start"].inputSchema["properties"]["settings"]
    assert '"max_steps": 60' in settings["description"] and '"text", "label"' in settings["description"]

    recipe = call(address, "recipes")["recipes"][0]
    assert call(address, "cost", request={"model": "roberta-base", "methods": ["cdvft"]})["sentence"]
    asked = {"recipe": recipe["key"], "methods": ["cdvft"], "max_steps": 3}
    started = call(address, "start", settings=asked, private=True)
    (run_id,) = started["run_ids"]
    assert "there is no run" in call(address, "state", run_id=run_id)
    mine = {"run_id": run_id, "token": started["token"]}
    assert call(address, "state", **mine)["state"] == "queued"
    assert call(address, "stop", **mine)["state"] == "stopped"
    assert "got 3" in call(address, "start", settings={"recipe": 3})


def test_an_agents_time_is_counted_for_whoever_sent_it(app: AppState, address: str) -> None:
    asked = {"methods": ["cdvft"], "max_steps": 3}
    call(address, "start", {"x-cdvft-code": "blue-7"}, settings=asked)
    call(address, "start", {"x-cdvft-visitor": "account%20ada.0000"}, settings=asked)
    assert {run.visitor for run in app.store.history()} == {"address 127.0.0.1", "code blue-7"}


def test_only_this_program_names_a_visitor() -> None:
    assert viewing.visitor_in(viewing.signed("account ada.lovelace")) == "account ada.lovelace"
    of_another = f"bob.{viewing.signed('ada').split('.')[1]}"
    for value in (None, "", "account%20ada", "account%20ada.", of_another):
        assert viewing.visitor_in(value) is None
