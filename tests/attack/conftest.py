"""The attacks' server and strangers, and where drawn numbers come from.

Families that are drawn take their numbers from `drawn`, whose seed stands in the report and is repeated by
CDVFT_ATTACK_SEED, and their count from `length`: CDVFT_ATTACK_LENGTH is 0.25 in a usual run of the tests, and
1 in `make attack`. The rest of the plain API is in `started_server.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from drawing_lots import LENGTH, SEED
from started_server import CODES, PublicServer, Stranger


def pytest_report_header() -> str:
    return f"attack: seed {SEED} (CDVFT_ATTACK_SEED), length {LENGTH:g} (CDVFT_ATTACK_LENGTH)"


@pytest.fixture
def drawn(request: pytest.FixtureRequest) -> random.Random:
    """Numbers of this test alone, whichever tests are run beside it."""
    return random.Random(f"{SEED} {request.node.nodeid}")


@pytest.fixture
def length() -> Callable[[int], int]:
    """Of a whole count, as many as this run tries; at least one."""
    return lambda whole: max(1, round(whole * LENGTH))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicServer]:
    """One for all that leaves it as it was."""
    running = PublicServer(tmp_path_factory.mktemp("public"))
    running.start()
    try:
        yield running
    finally:
        running.stop()


_codes = iter(CODES[1:])  # the first one is for fixtures


@pytest.fixture
def stranger(server: PublicServer) -> Callable[[], Stranger]:
    """Makes strangers; each call gives another one."""
    return lambda: Stranger(server, next(_codes))
