"""What is sent to the tools for agents (MCP) ends in an answer of the protocol."""

from __future__ import annotations

from typing import Any

import pytest
from hostile_values import HOSTILE, written
from started_server import JSON, Stranger

from cdvft_app.ui import incoming

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(not incoming.serves_agents(), reason="needs the package mcp"),
]
CALLS: dict[str, dict[str, Any]] = {
    "predict": {"run_ids": ["x"], "texts": ["a film"]},
    "upload_dataset": {"rows": "text,label\na,b\n", "name": "rows"},
    "describe_dataset": {"id": "x", "token": "y", "text": ["text"], "label": "label"},
    "start": {"settings": {"recipe": "sentiment", "methods": ["cdvft"]}},
}


def test_no_argument_of_a_tool_ends_in_less_than_an_answer(stranger, some) -> None:
    visitor = stranger()
    every = [(tool, name, what) for tool, usual in CALLS.items() for name in usual for what in HOSTILE]
    for tool, name, what in some(every, 60):
        status, text = called(visitor, tool, {**CALLS[tool], name: HOSTILE[what]})
        assert status < 500 and "Traceback" not in text, (tool, name, what, status, text[:500])


@pytest.mark.parametrize("what", ["nested", "5000 digits"])
def test_what_readers_of_json_give_up_is_refused_in_a_sentence(stranger, what) -> None:
    """The protocol's own reader ends in a 500 of it."""
    asked = {**CALLS["describe_dataset"], "text": HOSTILE[what]}
    status, text = called(stranger(), "describe_dataset", asked)
    assert status == 400 and "no JSON that can be read here" in text


def called(visitor: Stranger, tool: str, arguments: dict[str, Any]) -> tuple[int, str]:
    body = written(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    )
    headers = {**JSON, "accept": "application/json, text/event-stream"}
    answer = visitor.client.post("gradio_api/mcp/", content=body, headers=headers)
    return answer.status_code, answer.text
