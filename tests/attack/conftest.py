"""The attacks' server and strangers, and where drawn numbers come from.

Families are drawn by a seed that stands in the report and is repeated by CDVFT_ATTACK_SEED; of how many,
CDVFT_ATTACK_LENGTH says: 0.25 in a usual run of the tests, and 1 in `make attack`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from drawing_lots import LENGTH, SEED
from started_server import CODES, PublicServer, Stranger


def pytest_report_header() -> str:
    return f"attack: seed {SEED} (CDVFT_ATTACK_SEED), length {LENGTH:g} (CDVFT_ATTACK_LENGTH)"


@pytest.fixture
def length() -> Callable[[int], int]:
    """Of a whole count, as many as this run tries; at least one."""
    return lambda whole: max(1, round(whole * LENGTH))


@pytest.fixture
def some(
    request: pytest.FixtureRequest, length: Callable[[int], int]
) -> Callable[[list[Any], int], list[Any]]:
    """Draws so many at full length, by the seed and this test alone, whichever tests are run beside it."""
    drawn = random.Random(f"{SEED} {request.node.nodeid}")
    return lambda every, whole: drawn.sample(every, length(whole))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicServer]:
    """One for all that leaves it as it was."""
    running = PublicServer(tmp_path_factory.mktemp("public"))
    running.start()
    try:
        yield running
    finally:
        running.kill_all()


_codes = iter(CODES[1:])  # the first one is for fixtures


@pytest.fixture
def stranger(server: PublicServer) -> Callable[[], Stranger]:
    """Makes strangers; each call gives another one."""
    return lambda: Stranger(server, next(_codes))
