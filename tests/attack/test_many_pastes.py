"""A visitor who gives much to read keeps no other visitor waiting, and pays for it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from started_server import ROWS, Answer, Stranger
from waiting import wait_for

from cdvft_app.public.intake import MAX_WAITING_EACH
from cdvft_app.store.runs import RunStore


def paste(visitor: Stranger, number: int) -> Answer:
    return visitor.call("upload_dataset", ROWS.replace("scene", f"scene {number}"), "scenes", "", "")


def test_pastes_of_one_visitor_keep_no_other_waiting(server, stranger, length) -> None:
    """120 pastes kept another's 40 rows waiting for 419 seconds."""
    many, other = stranger(), stranger()
    answers: list[Answer] = []

    def give(number: int) -> None:
        answers.append(paste(Stranger(many.server, many.code), number))

    count = length(120)
    with ThreadPoolExecutor(count) as threads:
        threads.map(give, range(count))
        wait_for(lambda: answers)  # the server is at them
        asked = time.time()
        beside = paste(other, -1)
    assert beside.ok, beside
    # By the server's own times: answers that it gave before wait their turn among so many threads here.
    datasets = RunStore(Path(server.environment["RUNS_DIR"])).datasets
    (read,), *others = (
        [one.created for one in datasets.of(to.value["token"])] for to in (beside, *answers) if to.ok
    )
    before = sum(asked < created < read for (created,) in others)
    assert before <= 1 + MAX_WAITING_EACH, f"{before} of another's pastes were read before"
    refusals = ("are being read or wait for it. Wait for them", "waits its turn here already")
    refused = {one.sentence for one in answers if not one.ok}
    assert others and all(any(words in str(one) for words in refusals) for one in refused), refused
