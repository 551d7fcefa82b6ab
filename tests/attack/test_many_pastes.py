"""A visitor who gives much to read keeps no other visitor waiting, and pays for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from started_server import Answer, Stranger

ROWS = "text,label\n" + "".join(f"scene {{n}} {n},{'good' if n % 2 else 'bad'}\n" for n in range(40))


def paste(visitor: Stranger, number: int) -> Answer:
    return visitor.call("upload_dataset", ROWS.replace("{n}", str(number)), "scenes", "", "")


def seconds(call: Callable[[], Answer]) -> float:
    began = time.monotonic()
    answer = call()
    assert answer.ok, answer
    return time.monotonic() - began


def test_pastes_of_one_visitor_keep_no_other_waiting(
    stranger: Callable[[], Stranger], length: Callable[[int], int]
) -> None:
    """120 pastes kept another's 40 rows waiting for 419 seconds."""
    many, other = stranger(), stranger()
    alone = seconds(lambda: paste(other, -1))
    said: list[str] = []

    def give(number: int) -> None:
        said.append(paste(Stranger(many.server, many.code), number).sentence or "taken")

    threads = [threading.Thread(target=give, args=(number,), daemon=True) for number in range(length(120))]
    for thread in threads:
        thread.start()
    time.sleep(1)
    beside = seconds(lambda: paste(other, -2))
    for thread in threads:
        thread.join(120)
    assert beside < 4 * alone + 5, (alone, beside)
    refusals = ("are being read or wait for it. Wait for them", "waits its turn here already")
    others = {one for one in said if one != "taken"}
    assert "taken" in said and all(any(words in one for words in refusals) for one in others), others
    print(
        f"alone {alone:.1f} s, beside {len(threads)} pastes {beside:.1f} s; {said.count('taken')} were taken"
    )
