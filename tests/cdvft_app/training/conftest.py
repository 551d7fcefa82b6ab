import pytest
from in_process import InProcess
from listening import run

from cdvft_app.executors import base as executors
from cdvft_app.executors.queue import RunQueue
from cdvft_app.executors.zero_gpu import Slices


@pytest.fixture(scope="session")
def whole(text_plan, text_rows, tmp_path_factory):
    """One run from start to end, as it was heard, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    heard, _ = run(text_plan(checkpoint_every=5), text_rows, folder)
    return heard, folder


@pytest.fixture
def queue_of(store):
    """`queue_of(executor)`: a queue that works, and is closed in the end."""
    queues = []

    def make(executor, workers=None, start=True):
        queues.append(RunQueue(store, workers, executor))
        if start:
            queues[-1].start()
        return queues[-1]

    yield make
    for one in queues:
        one.close()


@pytest.fixture
def queue(queue_of):
    """`queue(train)`: one that trains in this process."""
    return lambda train, workers=1, **options: queue_of(InProcess(train), workers, **options)


@pytest.fixture
def start_slices(queue_of, monkeypatch):
    """`start_slices(trainer, **options)`: slices, and a queue that trains in them."""
    monkeypatch.setattr(executors, "POLL_SECONDS", 0.02)

    def make(trainer, **options):
        slices = Slices(trainer=trainer if ":" in trainer else f"fake_trainers:{trainer}", **options)
        return slices, queue_of(slices)

    return make
