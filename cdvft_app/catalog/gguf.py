"""Read a Llama out of a GGUF file into what transformers loads: config, safetensors, tokenizer.

Only what the pinned file has is read, which is little enough to need no package: the tensor types F32, Q8_0
and Q4_1, and a byte-level BPE vocabulary. Sources: docs/gguf.md of
github.com/ggml-org/ggml, and `ggml-quants` there for the blocks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cdvft_app.catalog.cursor import Cursor

BLOCK = 32  # weights that share a scale
DEFAULT_ALIGNMENT = 32  # bytes
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_CONTROL = 3  # the type of tokens such as <|im_end|>


def f32(raw: np.ndarray) -> np.ndarray:
    """bytes -> float32."""
    return raw.view("<f4")


def q8_0(raw: np.ndarray) -> np.ndarray:
    """Blocks of a float16 scale d and 32 signed bytes q: w = d q."""
    blocks = raw.reshape(-1, 2 + BLOCK)
    scale = blocks[:, :2].view("<f2").astype(np.float32)
    return scale * blocks[:, 2:].view(np.int8)


def q4_1(raw: np.ndarray) -> np.ndarray:
    """Blocks of float16 d and m and 32 half bytes q, the first 16 in the low halves: w = d q + m."""
    blocks = raw.reshape(-1, 4 + BLOCK // 2)
    scale, least = (blocks[:, at : at + 2].view("<f2").astype(np.float32) for at in (0, 2))
    packed = blocks[:, 4:]
    return scale * np.concatenate([packed & 15, packed >> 4], axis=1) + least


@dataclass(frozen=True)
class _Kind:
    read: Callable[[np.ndarray], np.ndarray]
    block: int  # weights
    size: int  # bytes of a block


_KINDS = {0: _Kind(f32, 1, 4), 3: _Kind(q4_1, BLOCK, 4 + BLOCK // 2), 8: _Kind(q8_0, BLOCK, 2 + BLOCK)}


@dataclass(frozen=True)
class Gguf:
    """What the file says of itself, and its tensors in float32 by the file's names, (d_out, d_in)."""

    facts: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]


class _Cursor(Cursor):
    def text(self) -> str:
        return self.bytes(self.number("Q")).decode("utf-8")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            inner, count = self.number("I"), self.number("Q")
            return [self.value(inner) for _ in range(count)]
        return self.number(_SCALARS[kind])


def read(content: bytes) -> Gguf:
    """All of a GGUF file of version 2 or 3. ValueError or KeyError says what is not as expected."""
    cursor = _Cursor(content)
    if cursor.bytes(4) != b"GGUF":
        raise ValueError("it does not begin as a GGUF file does")
    if (version := cursor.number("I")) not in (2, 3):
        raise ValueError(f"its GGUF version is {version}, not 2 or 3")
    tensor_count, fact_count = cursor.number("Q"), cursor.number("Q")
    facts = {cursor.text(): cursor.value(cursor.number("I")) for _ in range(fact_count)}
    entries = []
    for _ in range(tensor_count):
        name, dimensions = cursor.text(), cursor.number("I")
        shape = [cursor.number("Q") for _ in range(dimensions)][::-1]  # the file names the fastest first
        entries.append((name, shape, cursor.number("I"), cursor.number("Q")))
    alignment = facts.get("general.alignment", DEFAULT_ALIGNMENT)
    start = -(-cursor.at // alignment) * alignment
    tensors = {}
    for name, shape, code, offset in entries:
        if code not in _KINDS:
            raise ValueError(f"{name} is of GGUF's type {code}, which is not read here")
        kind = _KINDS[code]
        size = int(np.prod(shape)) // kind.block * kind.size
        raw = np.frombuffer(content, np.uint8, size, start + offset)
        tensors[name] = kind.read(raw).reshape(shape)
    return Gguf(facts, tensors)


def unpermuted(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a query or key projection in transformers' order: halves of a head, where GGUF has pairs."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def llama_weights(found: Gguf) -> dict[str, np.ndarray]:
    """The tensors by transformers' names and in its layout."""
    heads = {
        "attn_q": found.facts["llama.attention.head_count"],
        "attn_k": found.facts["llama.attention.head_count_kv"],
    }
    weights = {}
    for name, tensor in found.tensors.items():
        outer = name.removesuffix(".weight")
        if outer in _OUTER:
            weights[f"{_OUTER[outer]}.weight"] = tensor
            continue
        _, layer, part, _ = name.split(".")
        ordered = unpermuted(tensor, heads[part]) if part in heads else tensor
        weights[f"model.layers.{layer}.{_NAMES[part]}.weight"] = ordered
    return {name: np.ascontiguousarray(tensor) for name, tensor in weights.items()}


def llama_config(found: Gguf) -> dict[str, Any]:
    """transformers' config.json."""
    llama = {
        name.removeprefix("llama."): value for name, value in found.facts.items() if name.startswith("llama.")
    }
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": llama["vocab_size"],
        "hidden_size": llama["embedding_length"],
        "intermediate_size": llama["feed_forward_length"],
        "num_hidden_layers": llama["block_count"],
        "num_attention_heads": llama["attention.head_count"],
        "num_key_value_heads": llama["attention.head_count_kv"],
        "rms_norm_eps": round(llama["attention.layer_norm_rms_epsilon"], 12),  # float32 in the file
        "rope_parameters": {"rope_type": "default", "rope_theta": llama["rope.freq_base"]},
        "max_position_embeddings": llama["context_length"],
        "tie_word_embeddings": "output.weight" not in found.tensors,
        "bos_token_id": found.facts["tokenizer.ggml.bos_token_id"],
        "eos_token_id": found.facts["tokenizer.ggml.eos_token_id"],
        "pad_token_id": found.facts["tokenizer.ggml.padding_token_id"],
        "dtype": "float32",
    }


def write_tokenizer(facts: Mapping[str, Any], folder: Path) -> None:
    """`tokenizer.json` and `tokenizer_config.json` of a byte-level BPE that takes digits one by one."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    about = {
        name.removeprefix("tokenizer.ggml."): value
        for name, value in facts.items()
        if name.startswith("tokenizer.ggml.")
    }
    if (about["model"], about["pre"]) != ("gpt2", "smollm"):
        raise ValueError(f"its tokenizer is {about['model']}/{about['pre']}, which is not read here")
    tokens: list[str] = about["tokens"]
    merges = [tuple(merge.split(" ")) for merge in about["merges"]]
    vocabulary = {token: place for place, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [
            AddedToken(token, normalized=False, special=True)
            for token, kind in zip(tokens, about["token_type"], strict=True)
            if kind == _CONTROL
        ]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokens[about["bos_token_id"]],
        "eos_token": tokens[about["eos_token_id"]],
        "unk_token": tokens[about["unknown_token_id"]],
        "pad_token": tokens[about["padding_token_id"]],
        "model_max_length": facts["llama.context_length"],
        "clean_up_tokenization_spaces": False,
        "chat_template": facts["tokenizer.chat_template"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def convert(content: bytes, folder: Path) -> None:
    """Write config, weights (float32) and tokenizer of a GGUF file into `folder`."""
    from safetensors.numpy import save_file

    found = read(content)
    (folder / "config.json").write_text(json.dumps(llama_config(found), indent=2), encoding="utf-8")
    save_file(llama_weights(found), folder / "model.safetensors", metadata={"format": "pt"})
    write_tokenizer(found.facts, folder)
