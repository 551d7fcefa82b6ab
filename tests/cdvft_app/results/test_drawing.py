from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from cdvft_app.results import inputs
from cdvft_app.results.finished_run import ResultsError


def drawn(rows: slice, columns: slice) -> str:
    """A filled rectangle on the pad."""
    cells = np.zeros((64, 64), np.int8)
    cells[rows, columns] = 1
    return base64.b64encode(cells.tobytes()).decode()


def picture(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_wherever_and_however_large_it_is_drawn_mnist_s_digit_is_the_same():
    small = picture(inputs.drawn_digit(drawn(slice(2, 12), slice(50, 55)), "mnist"))
    large = picture(inputs.drawn_digit(drawn(slice(20, 60), slice(3, 23)), "mnist"))
    assert small.shape == (28, 28) and np.array_equal(small, large)
    rows, columns = np.flatnonzero(small.any(1)), np.flatnonzero(small.any(0))
    assert (len(rows), len(columns)) == (20, 10)
    assert abs(rows.mean() - 14) <= 0.5 and abs(columns.mean() - 14) <= 0.5


def test_mnist_s_digit_is_centred_by_its_mass():
    cells = np.zeros((64, 64), np.int8)
    cells[0:40, 0:12], cells[30:40, 0:30] = 1, 1  # an L, heavy at the left and below
    image = picture(inputs.drawn_digit(base64.b64encode(cells.tobytes()).decode(), "mnist")).astype(float)
    for axis in (0, 1):
        centre = (image.sum(1 - axis) * np.arange(28)).sum() / image.sum()
        assert centre == pytest.approx(14, abs=0.5)


def test_a_digit_of_the_small_set_fills_its_height_and_a_narrow_one_stays_narrow():
    wide = picture(inputs.drawn_digit(drawn(slice(10, 50), slice(10, 50)), "digits"))
    narrow = picture(inputs.drawn_digit(drawn(slice(10, 50), slice(10, 14)), "digits"))
    assert wide.shape == (8, 8) and wide.any(1).all() and narrow.any(1).all()
    assert wide.any(0).tolist() == [False, True, True, True, True, True, True, False]
    assert narrow.any(0).sum() <= 3


def test_what_the_model_sees_is_the_digit_enlarged():
    digit = inputs.drawn_digit(drawn(slice(10, 50), slice(10, 50)), "digits")
    seen = picture(inputs.digit_as_seen(digit, 70))
    assert seen.shape == (70, 70) and seen[35, 35] > 200 and seen[35, 0] < 30


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "Nothing is drawn"),
        ("", "Nothing is drawn"),
        (drawn(slice(0, 0), slice(0, 0)), "Nothing is drawn"),
        ("AAAA", "is not one of 64 x 64"),
        ("not base64!", "is not one of 64 x 64"),
        ("A" * 10**6, "is not one of 64 x 64"),
        (7, "is not one of 64 x 64"),
    ],
)
def test_what_is_no_drawing_is_a_sentence(value, sentence):
    with pytest.raises(ResultsError, match=sentence):
        inputs.drawn_digit(value, "mnist")
