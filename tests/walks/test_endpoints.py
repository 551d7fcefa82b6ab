"""The named endpoints as gradio_client calls them, over HTTP."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import made
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from waiting import wait_for

from walks.studio import Studio


@pytest.fixture(scope="module")
def client(studio: Studio) -> Client:
    return studio.client()


def until_final(client: Client, run_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The last state, and all rows, read with cursors."""
    rows: list[dict[str, Any]] = []
    cursor = 0

    def final() -> dict[str, Any] | None:
        nonlocal cursor
        state = client.predict(run_id=run_id, cursor=cursor, api_name="/state")
        rows.extend(state["rows"])
        cursor = state["cursor"]
        return state if state["state"] in ("finished", "stopped", "failed") else None

    return wait_for(final), rows


def test_start_state_and_stop_follow_a_run(client: Client, studio: Studio) -> None:
    settings = {"recipe": "sentiment", "methods": ["lora", "cdvft"], "seed": 3, "max_steps": 12, "m": 3,
                "alpha": 2, "block_size": 64}  # fmt: skip
    started = client.predict(settings=settings, api_name="/start")
    assert len(started["run_ids"]) == 2
    state, rows = until_final(client, started["run_ids"][0])
    assert (state["state"], state["step"], state["total_steps"]) == ("finished", 12, 12)
    assert state["forecast"]["trainable_parameters"]["value"] == 12 * 8 * 2 * 384
    steps = [row for row in rows if row["kind"] == "step"]
    assert [row["step"] for row in steps] == list(range(1, 13))
    assert all(isinstance(row["loss"], float) for row in steps)
    run = studio.store.get(started["run_ids"][1])
    assert run and run.settings.seed == 3
    assert (run.settings.method.m, run.settings.method.alpha, run.settings.method.block_size) == (3, 2, 64)

    long = client.predict(settings={"methods": ["cdvft"], "max_steps": 1000}, api_name="/start")
    (run_id,) = long["run_ids"]
    with pytest.raises(AppError, match="token:"):
        client.predict(run_id=run_id, token="guess", api_name="/stop")
    client.predict(run_id=run_id, token=long["token"], api_name="/stop")
    assert until_final(client, run_id)[0]["state"] == "stopped"


def test_data_of_ones_own_is_nobody_elses(client: Client) -> None:
    rows = "text,label\n" + "".join(f"scene {n},{'good' if n % 2 else 'bad'}\n" for n in range(40))
    mine = client.predict(rows=rows, name="scenes", api_name="/upload_dataset")
    yours = client.predict(rows=rows.replace("scene", "take"), api_name="/upload_dataset")
    for call in ("/describe_dataset", "/delete_dataset"):
        with pytest.raises(AppError, match="no data"):
            client.predict(id=mine["id"], token=yours["token"], api_name=call)
    asked = {"methods": ["cdvft"], "max_steps": 2, "data": {"id": mine["id"], "token": yours["token"]}}
    with pytest.raises(AppError, match="no data"):
        client.predict(settings=asked, api_name="/start")
    (listed,) = client.predict(token=yours["token"], api_name="/datasets")["datasets"]
    assert listed["id"] == yours["id"] and listed["rows"] == 40

    said = client.predict(id=mine["id"], token=mine["token"], api_name="/describe_dataset")
    assert (said["inputs"], said["label"]) == (["text"], "label")
    assert (said["train_rows"], said["recipe"]) == (32, "sentiment")
    asked["data"]["token"] = mine["token"]
    (run_id,) = client.predict(settings=asked, api_name="/start")["run_ids"]
    with pytest.raises(AppError, match="no run"):
        client.predict(run_id=run_id, token=yours["token"], api_name="/state")
    assert client.predict(run_id=run_id, token=mine["token"], api_name="/state")["run_id"] == run_id
    lost = client.predict(id=mine["id"], token=mine["token"], api_name="/delete_dataset")
    assert lost["cannot_resume"] == ["scenes, CDVFT"]


def test_a_zip_of_pictures_is_uploaded_as_base64(client: Client, tmp_path: Path) -> None:
    pictures = b64encode(made.digits_zip(tmp_path / "digits.zip").read_bytes()).decode()
    given = client.predict(file=pictures, name="digits", api_name="/upload_dataset")
    said = client.predict(id=given["id"], token=given["token"], api_name="/describe_dataset")
    assert (said["kind"], said["rows"], len(said["classes"]), said["recipe"]) == ("image", 60, 10, "mnist")


@pytest.mark.parametrize(
    ("endpoint", "arguments", "sentence"),
    [
        ("/start", {"settings": {"recipe": "none"}}, "There is no recipe 'none'. Choose one of sentiment"),
        ("/start", {"settings": {"recipe": "sst2"}}, "cannot be fetched. HF_HUB_OFFLINE is set"),
        ("/start", {"settings": {"m": 1}}, "m: got 1; it must be from 2 to 16"),
        ("/start", {"settings": {"methods": []}}, "methods: got \\[\\]"),
        ("/start", {"settings": {"target_modules": []}}, "target_modules: got \\[\\]; give at least 1"),
        ("/start", {"settings": {"m": "2; DROP TABLE runs"}}, "m: got '2; DROP TABLE runs'"),
        ("/start", {"settings": [1, 2]}, "one object"),
        ("/start", {"settings": "sentiment"}, "one object"),
        ("/start", {"settings": None}, "one object"),
        ("/upload_dataset", {"file": "no base64!"}, "file: .* base64"),
        ("/upload_dataset", {}, "Choose a file"),
        ("/state", {"run_id": "nobody"}, "there is no run 'nobody'"),
        ("/state", {"run_id": {"$ne": 1}}, "no run"),
        ("/state", {"run_id": "../history.sqlite"}, "no run"),
        ("/stop", {"run_id": "nobody", "token": "x"}, "there is no run 'nobody'"),
    ],
)
def test_refusals_are_sentences(
    client: Client, endpoint: str, arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(AppError, match=sentence):
        client.predict(**arguments, api_name=endpoint)


def test_a_bad_cursor_is_quoted(client: Client) -> None:
    run_id = client.predict(settings={"methods": ["head"], "max_steps": 1}, api_name="/start")["run_ids"][0]
    for cursor in (-1, 1.5, "1", None, True, 2**70):
        with pytest.raises(AppError, match="cursor: got"):
            client.predict(run_id=run_id, cursor=cursor, api_name="/state")
