"""Every endpoint, called by a stranger with others' run ids and made-up tokens: nothing is done or told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from in_process_server import OWNER, SECRET_NAME, PublicServer, public_server

from cdvft_app.store.owners import token_hash
from cdvft_app.ui import incoming

TOKENS: list[Any] = ["", "a stranger's token", token_hash(OWNER), None, True, [OWNER], {"token": OWNER}]
WRONG: list[Any] = [None, True, -1, 2**70, 1e308, "", "\x00../../etc", "x" * 10_000, [], [[{}]], {"a": []}]


@pytest.fixture(scope="module")
def server() -> Iterator[PublicServer]:
    protected = {"CDVFT_OPERATOR_KEY": "open, sesame seed", "CDVFT_CODES": "blue-7"}
    with public_server(HF_HUB_OFFLINE="1", **protected) as made:
        yield made


def kept(server: PublicServer) -> str:
    """All of the owner's run."""
    return repr(server.store.get(server.run.id))


@pytest.fixture(params=[True, False], ids=["private", "shown"])
def private(server: PublicServer, request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether strangers see the owner's run; one that is shown is refused by its owner's token alone."""
    server.store.set_private(server.run.id, request.param, OWNER)
    yield request.param
    server.store.set_private(server.run.id, True, OWNER)


def endpoints(server: PublicServer) -> dict[str, list[dict[str, Any]]]:
    told = server.http.get("/gradio_api/info").json()["named_endpoints"]
    return {name.strip("/"): endpoint["parameters"] for name, endpoint in told.items()}


def test_every_named_endpoint_answers_anything_with_a_sentence(server: PublicServer) -> None:
    asked = 0
    for name, parameters in endpoints(server).items():
        for value, count in product(WRONG, {0, 1, len(parameters)}):
            ok, said = server.call(name, *[value] * count)
            assert ok or (isinstance(said, str) and said), (name, value, count, said)
            assert SECRET_NAME not in json.dumps(said, default=str)
            asked += 1
    assert asked > 100


def test_no_named_endpoint_does_anything_to_a_strangers_run(server: PublicServer, private: bool) -> None:
    before, asked = kept(server), 0
    for name, parameters in endpoints(server).items():
        for token in TOKENS:
            run_id, data_of_others = server.run.id, {"data": {"id": server.run.id, "token": token}}
            known = {"run_id": run_id, "run_ids": [run_id], "token": token, "texts": ["a film"],
                     "id": run_id, "cursor": 0, "settings": data_of_others}  # fmt: skip
            data = [known.get(one["parameter_name"], one.get("parameter_default")) for one in parameters]
            ok, said = server.call(name, *data)
            told = json.dumps(said, default=str)
            assert said is not None and not (private and SECRET_NAME in told), (name, token)
            takes_token = "token" in {one["parameter_name"] for one in parameters}
            if takes_token and name != "upload_dataset" and (private or name != "state"):
                assert not ok or not said.get("run_id"), (name, token, said)
            asked += 1
    assert kept(server) == before and asked > 50
    assert server.call("state", server.run.id, 0, OWNER)[0]  # who owns it reads it all along


def test_nothing_of_the_page_does_anything_to_a_strangers_run(server: PublicServer, private: bool) -> None:
    before, asked = kept(server), 0
    secrets = (SECRET_NAME, OWNER) if private else (OWNER,)
    run = server.run
    payloads: list[Any] = [run.id, [run.id], {"cursors": {run.id: 0}}]
    for token in ("a stranger's token", token_hash(OWNER)):
        for act in ("stop", "delete", "hide", "show", "clear"):
            payloads.append({"run": run.id, "token": token, "key": token, "act": act})
        everything = {"run": run.id, "runs": [run.id], "ids": [run.id], "group": run.group_id, "token": token}
        payloads.append({**everything, "name": "taken", "text": "a film", "cursors": {run.id: 0}})
    for function in server.functions():
        if function[1] == "crossover":  # it measures for seconds, whatever is asked
            continue
        for payload in payloads:
            answer = server.ask(function, payload)
            is_refused = answer.status_code == 400 and answer.json()["error"]
            assert answer.status_code == 200 or is_refused, (function, payload, answer.text[:200])
            assert not any(secret in answer.text for secret in secrets), function
            asked += 1
    for number, handler in server.page.fns.items():
        if handler.fn is None or handler.queue:
            continue
        for value in (run.id, [run.id], {"run": run.id, "token": token_hash(OWNER)}):
            body = {"fn_index": number, "data": [value] * len(handler.inputs), "session_hash": "s"}
            answer = server.http.post("/gradio_api/run/predict", json=body)
            assert not any(secret in answer.text for secret in secrets), handler.api_name
            assert answer.status_code == 200 or answer.json()["error"], handler.api_name
            asked += 1
    assert kept(server) == before and asked > 200


@pytest.mark.skipif(not incoming.serves_agents(), reason="needs the package mcp")
@pytest.mark.parametrize("value", ["[" * 10_000 + "]" * 10_000, "9" * 5000])
def test_invalid_json_is_rejected(server: PublicServer, value: str) -> None:
    """The reader of the protocol for agents answers it with status 500."""
    call = {"name": "describe_dataset", "arguments": {"id": "@"}}
    asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call})
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    body = asked.replace('"@"', value)
    answer = server.http.post("/gradio_api/mcp/", content=body, headers=headers)
    assert answer.status_code == 400 and incoming.UNREADABLE in answer.text
