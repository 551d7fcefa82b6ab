import numpy as np
import pytest

from cdvft_app.store import snapshots

VECTORS = {"encoder.0.query/diagonal.0": np.arange(6.0), "encoder.0.query/circulant.0": np.ones((2, 3, 4))}


def test_what_is_written_is_read(tmp_path):
    for step in (41, 0, 1_000_000):
        file = snapshots.write(tmp_path, step, VECTORS)
        assert (tmp_path / file).is_file()
    assert file == "snapshots/step-1000000.safetensors" and snapshots.steps(tmp_path) == [0, 41, 1_000_000]
    read = snapshots.read(tmp_path, 41)
    assert read.keys() == VECTORS.keys()
    for key, vector in read.items():
        assert vector.dtype == np.float32
        np.testing.assert_array_equal(vector, VECTORS[key])


@pytest.mark.parametrize(
    ("steps", "bytes_each", "count"),
    [(1000, 55_000, 51), (1000, 2**21, 41), (1000, 4 * 2**20, 21), (128, 55_000, 51), (10, 55_000, 11)],
)
def test_a_run_keeps_its_vectors_about_every_two_percent_within_80_mebibytes(steps, bytes_each, count):
    planned = snapshots.planned(steps, bytes_each)
    assert len(planned) == count
    assert {0, steps} <= planned and max(planned) == steps
    assert (count - 1) * bytes_each <= 80 * 2**20
    gaps = [later - one for one, later in zip(sorted(planned), sorted(planned)[1:], strict=False)]
    assert max(gaps) - min(gaps) <= 1
