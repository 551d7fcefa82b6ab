"""A drawing comes in as it was drawn, and nothing else comes in."""

import base64
import subprocess
import sys

import numpy as np
import pytest

from cdvft_app.data.drawing import SIDE, read_drawing


def sent(entries: np.ndarray) -> str:
    return base64.b64encode(entries.astype(np.int8).tobytes()).decode()


def test_entries_keep_their_places_and_signs():
    drawn = np.zeros((SIDE, SIDE))
    drawn[2, 5], drawn[63, 0], drawn[7, 7] = 1, -1, 100
    read = read_drawing(sent(drawn), "Draw.")
    np.testing.assert_array_equal(read, np.sign(drawn))


@pytest.mark.parametrize(
    ("drawing", "said"),
    [
        *((nothing, "Nothing is drawn yet. Draw.") for nothing in (None, "", sent(np.zeros((SIDE, SIDE))))),
        *(
            (wrong, "not one of 64 x 64")
            for wrong in (7, ["x"], "é", "AAAA", "*" * 100, sent(np.ones((SIDE, SIDE + 1))), "A" * 10**6)
        ),
    ],
)
def test_anything_else_is_a_sentence(drawing, said):
    with pytest.raises(ValueError, match=said):
        read_drawing(drawing, "Draw.")


def test_nothing_else_comes_in_where_python_leaves_assertions_out():
    reading = "from cdvft_app.data.drawing import read_drawing; read_drawing([7], 'Draw.')"
    asked = subprocess.run([sys.executable, "-O", "-c", reading], capture_output=True, text=True, check=False)
    assert asked.stderr.splitlines()[-1].startswith("ValueError: The drawing is not one of 64 x 64")
