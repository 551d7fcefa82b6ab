"""An app over a store of the test's own; its queue is not started, so that runs stay queued."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from served import Served

from cdvft_app.executors.queue import RunQueue
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.build import build
from cdvft_app.ui.shared.state import AppState


@pytest.fixture(autouse=True)
def private_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)


@pytest.fixture
def anyio_backend() -> str:
    """Of tests that are coroutines, marked as `anyio`."""
    return "asyncio"


@pytest.fixture
def app(store: RunStore) -> AppState:
    return AppState.make(store, RunQueue(store))


@pytest.fixture
def served(app: AppState) -> Iterator[Served]:
    """A page over the store of the test's own."""
    made = Served(build(app))
    with made.first:
        yield made


@pytest.fixture(scope="module")
def shared_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One served page over an empty store for all tests of a module that change neither."""
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("SPACE_ID", raising=False)
        store = RunStore(tmp_path_factory.mktemp("shared"))
        served = Served(build(AppState.make(store, RunQueue(store))))
    with served.first:
        yield served
    store.close()
