"""A visitor's file is read within limits, and refused with a sentence otherwise."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy
from PIL import Image

from cdvft_app.lessons.uploads import MAX_BYTES, matrix_as_lists, read_matrix


def test_reads_an_array_as_it_is_and_hands_on_what_is_finite(tmp_path: Path):
    rows = [[1.5, -2.0], [0.0, 4.0]]
    np.save(tmp_path / "a.npy", np.array(rows, np.float32))
    assert read_matrix(tmp_path / "a.npy", 64).tolist() == rows
    assert matrix_as_lists(str(tmp_path / "a.npy"), 64, None) == rows
    np.save(tmp_path / "b.npy", np.array([[1.5, np.nan], [0.0, 4.0]]))
    with pytest.raises(ValueError, match="NaN or infinite"):
        matrix_as_lists(str(tmp_path / "b.npy"), 64, None)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_reads_a_picture_as_brightness_around_zero(tmp_path: Path, name: str):
    Image.linear_gradient("L").resize((40, 30)).save(tmp_path / name)
    found = read_matrix(tmp_path / name, 16)
    assert found.shape == (16, 16)
    assert abs(float(found.mean())) < 1e-9
    assert float(found.std(ddof=1)) > 10


def test_a_picture_of_16_bits_keeps_its_greys(tmp_path: Path):
    """They were cut at 255, which made such a picture white."""
    ramp = np.linspace(0, 65535, 16 * 16).reshape(16, 16)
    Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / "a.png")
    expected = ramp / 257 - np.mean(ramp / 257)
    assert np.abs(read_matrix(tmp_path / "a.png", 16) - expected).max() <= 1


def test_what_is_transparent_is_white(tmp_path: Path):
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 8, 16))
    image.save(tmp_path / "a.png")
    found = read_matrix(tmp_path / "a.png", 16)
    assert float(found[0, 0]) == -127.5 and float(found[0, 15]) == 127.5


def _pickled(file: Path) -> None:
    np.save(file, np.array([[{}]], dtype=object), allow_pickle=True)


def _claims(header: str, version: tuple[int, int] = (1, 0)) -> Callable[[Path], object]:
    """Writes a .npy file of a header and nothing else."""
    text = header.encode("latin1")
    return lambda file: file.write_bytes(npy.magic(*version) + len(text).to_bytes(2, "little") + text)


def _shaped(shape: str, kind: str = "'<f8'") -> Callable[[Path], object]:
    return _claims(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}")


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("a.npy", lambda file: np.save(file, np.zeros((3, 4))), "square matrix is needed"),
        ("a.npy", lambda file: np.save(file, np.zeros(9)), "square matrix is needed"),
        ("a.npy", lambda file: np.save(file, np.zeros((3, 3, 3))), "square matrix is needed"),
        ("a.npy", lambda file: np.save(file, np.zeros((300, 300), np.int8)), "sides from 2 to 256"),
        ("a.npy", lambda file: np.save(file, np.zeros((4, 4), complex)), "real numbers are needed"),
        ("a.npy", lambda file: file.write_bytes(b"\x93NUMPY nonsense"), "no array that numpy.save wrote"),
        ("a.npy", _shaped("(10**7, 10**7)"), "no array that numpy.save wrote"),
        ("a.npy", _shaped("(10000000, 10000000)"), "sides from 2 to 256"),
        ("a.npy", _shaped("(-1, -1)"), "sides from 2 to 256"),
        ("a.npy", _shaped("(4, 4)"), "no array that numpy.save wrote"),
        ("a.npy", _shaped("(4, 4)", "'(999,999)<f8'"), "real numbers are needed"),
        ("a.npy", _claims("((((((((\n"), "no array that numpy.save wrote"),
        ("a.npy", _claims("-" * 900 + "1\n"), "no array that numpy.save wrote"),
        ("a.npy", _claims("-" * 60_000 + "1\n"), "no array that numpy.save wrote"),
        ("a.npy", _claims("\0"), "no array that numpy.save wrote"),
        ("a.npy", _claims("", (9, 9)), "no array that numpy.save wrote"),
        ("a.npy", lambda file: file.write_bytes(b""), "no array that numpy.save wrote"),
        ("a.npy", _pickled, "no array that numpy.save wrote"),
        ("a.npy", lambda file: file.write_bytes(bytes(MAX_BYTES + 1)), "at most 2,000,000 go"),
        ("a.png", lambda file: file.write_bytes(b"GIF89a"), "neither a .npy array nor"),
        ("a.png", lambda file: Image.new("1", (3000, 3000)).save(file), "at most 4,000,000 pixels"),
        ("a.png", lambda file: Image.new("RGB", (20, 20), "red").save(file), "of one brightness, so"),
    ],
)
def test_refuses_other_files(tmp_path: Path, name, write, said):
    write(tmp_path / name)
    with pytest.raises(ValueError, match=said):
        read_matrix(tmp_path / name, 16)
