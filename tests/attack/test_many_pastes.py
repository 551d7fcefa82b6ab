"""A visitor who gives much to read keeps no other visitor waiting, and pays for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from started_server import ROWS, Answer, Stranger
from waiting import wait_for

from cdvft_app.public.intake import MAX_WAITING_EACH


def paste(visitor: Stranger, number: int) -> Answer:
    return visitor.call("upload_dataset", ROWS.replace("scene", f"scene {number}"), "scenes", "", "")


def test_pastes_of_one_visitor_keep_no_other_waiting(stranger, length) -> None:
    """120 pastes kept another's 40 rows waiting for 419 seconds."""
    many, other = stranger(), stranger()
    said: list[str] = []

    def give(number: int) -> None:
        said.append(paste(Stranger(many.server, many.code), number).sentence or "taken")

    count = length(120)
    with ThreadPoolExecutor(count) as threads:
        threads.map(give, range(count))
        wait_for(lambda: said)  # the server is at them
        before = said.count("taken")
        beside = paste(other, -1)
        waited_for = said.count("taken") - before
    assert beside.ok, beside
    assert waited_for <= 1 + MAX_WAITING_EACH, f"{waited_for} of another's pastes were read before"
    refusals = ("are being read or wait for it. Wait for them", "waits its turn here already")
    others = {one for one in said if one != "taken"}
    assert "taken" in said and all(any(words in one for words in refusals) for one in others), others
