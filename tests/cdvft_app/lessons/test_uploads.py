"""A visitor's file is read within limits, and refused with a sentence otherwise."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cdvft_app.lessons.uploads import MOST_BYTES, read_matrix


def test_reads_an_array_as_it_is(tmp_path: Path):
    array = np.arange(9, dtype=np.float32).reshape(3, 3)
    np.save(tmp_path / "a.npy", array)
    assert read_matrix(tmp_path / "a.npy", 64).numpy().tolist() == array.tolist()


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_reads_a_picture_as_brightness_around_zero(tmp_path: Path, name: str):
    Image.linear_gradient("L").resize((40, 30)).save(tmp_path / name)
    found = read_matrix(tmp_path / name, 16)
    assert found.shape == (16, 16)
    assert abs(float(found.mean())) < 1e-9
    assert float(found.std()) > 10


def _pickled(file: Path) -> None:
    np.save(file, np.array([[{}]], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("a.npy", lambda file: np.save(file, np.zeros((3, 4))), "square matrix is needed"),
        ("a.npy", lambda file: np.save(file, np.zeros((300, 300), np.int8)), "sides from 2 to 256"),
        ("a.npy", lambda file: np.save(file, np.zeros((4, 4), complex)), "real numbers are needed"),
        ("a.npy", lambda file: file.write_bytes(b"\x93NUMPY nonsense"), "no array that numpy.save wrote"),
        ("a.npy", _pickled, "no array that numpy.save wrote"),
        ("a.npy", lambda file: file.write_bytes(bytes(MOST_BYTES + 1)), "at most 2,000,000 go"),
        ("a.png", lambda file: file.write_bytes(b"GIF89a"), "neither a .npy array nor"),
        ("a.png", lambda file: Image.new("1", (3000, 3000)).save(file), "at most 4,000,000 pixels"),
    ],
)
def test_refuses_other_files(tmp_path: Path, name, write, said):
    write(tmp_path / name)
    with pytest.raises(ValueError, match=said):
        read_matrix(tmp_path / name, 16)
