import pytest
from stored_runs import CDVFT


@pytest.fixture
def run_id(store):
    return store.create([CDVFT], "secret", "first")[0].id
