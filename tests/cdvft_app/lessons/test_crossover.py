"""What is measured and what is said about it."""

import pytest

from cdvft_app.lessons.crossover import measured, sentence


def test_measures_both_ways_at_every_length():
    found = measured((16, 24), seconds=0.001)
    assert found["lengths"] == [16, 24]
    assert len(found["dense"]) == len(found["fft"]) == 2
    assert all(0 < value < 1e6 for value in found["dense"] + found["fft"])


@pytest.mark.parametrize(
    ("dense", "fft", "said"),
    [
        ([1, 2, 8], [2, 1, 2], "wins from between d = 16 and 32 on"),
        ([2, 1, 8], [1, 2, 2], "wins from between d = 32 and 64 on"),
        ([2, 2, 8], [1, 1, 2], "wins at every length measured. At d = 64 the dense product takes 4 times as"),
        ([1, 1, 1], [2, 2, 2], "wins even at d = 64. At d = 64 the FFT takes 2 times as long as the dense"),
        ([2, 2, 1313], [1, 1, 10], "the dense product takes 131 times as long as the FFT."),
    ],
)
def test_says_where_the_fft_starts_to_win(dense, fft, said):
    assert said in sentence((16, 32, 64), dense, fft)
