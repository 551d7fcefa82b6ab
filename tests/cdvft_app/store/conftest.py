import pytest
from stored_runs import CDVFT

from cdvft_app.store.runs import RunStore


@pytest.fixture
def other(tmp_path):
    """A store beside `store`."""
    made = RunStore(tmp_path / "other")
    yield made
    made.close()


@pytest.fixture
def run_id(store):
    return store.create([CDVFT], "secret", "first")[0].id
