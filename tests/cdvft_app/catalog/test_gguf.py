"""The GGUF reader against files that are written here, block by block, as the format's documents say."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from cdvft_app.catalog import gguf


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def file(tensors: dict[str, tuple[tuple[int, ...], int, bytes]], **facts: int) -> bytes:
    """A GGUF file of version 3 whose facts are uint32; shapes are (d_out, d_in)."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(facts))
    for name, value in facts.items():
        head += text(name.replace("__", ".")) + struct.pack("<II", 4, value)
    data = b""
    for name, (shape, kind, raw) in tensors.items():
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        head += struct.pack("<IQ", kind, len(data))
        data += raw + b"\0" * (-len(raw) % 32)
    return head + b"\0" * (-len(head) % 32) + data


def test_weights_of_each_kind_come_out_in_their_order() -> None:
    plain = np.arange(6, dtype="<f4")
    bytes_ = [number - 16 for number in range(32)]
    eight = struct.pack("<e32b", 0.5, *bytes_) + struct.pack("<e32b", 2.0, *bytes_)
    halves = [number % 16 for number in range(32)]
    four = struct.pack("<ee", 0.25, -1.0) + bytes(
        halves[place] | halves[16 + place] << 4 for place in range(16)
    )
    found = gguf.read(
        file({"a": ((2, 3), 0, plain.tobytes()), "b": ((2, 32), 8, eight), "c": ((1, 32), 3, four)}, x__y=7)
    )
    assert found.facts == {"x.y": 7}
    assert found.tensors["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found.tensors["b"].tolist() == [[0.5 * one for one in bytes_], [2.0 * one for one in bytes_]]
    assert found.tensors["c"].tolist() == [[0.25 * one - 1.0 for one in halves]]


def test_queries_and_keys_get_the_order_of_rows_that_transformers_turns() -> None:
    """GGUF turns rows 0 and 1, 2 and 3 of a head together; transformers rows 0 and 2, 1 and 3."""
    weight = np.arange(8)[:, None]
    assert gguf.unpermuted(weight, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"onnx" + b"\0" * 40, "does not begin as a GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version is 1"),
        (file({"a": ((1, 32), 2, b"\0" * 18)}), "a is of GGUF's type 2"),
    ],
)
def test_what_is_not_read_is_said(content: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        gguf.read(content)
