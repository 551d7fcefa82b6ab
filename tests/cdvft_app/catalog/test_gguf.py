"""A small Llama in a GGUF file, and what transformers then loads without the gguf package."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from cdvft_app.catalog.offline import convert_gguf

TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "Ġ", "a", "b", "1", "2", "ab", "12"]
HIDDEN, INNER, DEPTH, HEADS, KEY_VALUE_HEADS = 64, 96, 2, 2, 1
SHAPES = {  # by GGUF's names, (d_out, d_in)
    "attn_q": (HIDDEN, HIDDEN),
    "attn_k": (HIDDEN // 2, HIDDEN),
    "attn_v": (HIDDEN // 2, HIDDEN),
    "attn_output": (HIDDEN, HIDDEN),
    "ffn_gate": (INNER, HIDDEN),
    "ffn_up": (INNER, HIDDEN),
    "ffn_down": (HIDDEN, INNER),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, np.ndarray]]:
    """The file's bytes, and what its rounded matrices are, by GGUF's names."""
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    facts = {
        "vocab_size": len(TOKENS), "context_length": 128, "embedding_length": HIDDEN,
        "feed_forward_length": INNER, "block_count": DEPTH, "head_count": HEADS,
        "head_count_kv": KEY_VALUE_HEADS, "layer_norm_rms_eps": 1e-5, "rope_freq_base": 100_000.0,
        "tokenizer_model": "gpt2", "tokenizer_pre": "smollm", "token_list": TOKENS,
        "token_merges": ["a b", "1 2"], "token_types": [3, 3, 3, *[1] * (len(TOKENS) - 3)],
        "bos_token_id": 1, "eos_token_id": 2, "unk_token_id": 0, "pad_token_id": 2,
        "chat_template": "{{ messages[0].content }}",
    }  # fmt: skip
    for name, value in facts.items():
        getattr(writer, f"add_{name}")(value)
    drawn, kinds = np.random.default_rng(0), gguf.GGMLQuantizationType
    weights: dict[str, np.ndarray] = {}
    names = {"token_embd": (len(TOKENS), HIDDEN)} | {
        f"blk.{layer}.{name}": shape for layer in range(DEPTH) for name, shape in SHAPES.items()
    }
    for place, (name, shape) in enumerate(names.items()):
        kind = (kinds.Q4_1, kinds.Q8_0)[place % 2]
        raw = gguf.quantize(drawn.standard_normal(shape, np.float32), kind)
        weights[name] = gguf.dequantize(raw, kind)
        writer.add_tensor(f"{name}.weight", raw, raw_dtype=kind)
    norms = [f"blk.{layer}.{name}_norm" for layer in range(DEPTH) for name in ("attn", "ffn")]
    for name in ("output_norm", *norms):
        weights[name] = drawn.uniform(0.5, 2, HIDDEN).astype(np.float32)
        writer.add_tensor(f"{name}.weight", weights[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file.read_bytes(), weights


@pytest.fixture(scope="module")
def folder(written, tmp_path_factory: pytest.TempPathFactory) -> Path:
    there = tmp_path_factory.mktemp("converted")
    convert_gguf(written[0], there)
    return there


def test_every_weight_is_the_files(folder: Path, written) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, dtype=torch.float32)
    found = {name: weight.numpy() for name, weight in model.state_dict().items()}
    _, weights = written
    assert model.config.architectures == ["LlamaForCausalLM"] and model.config.rms_norm_eps == 1e-5
    assert model.config.max_position_embeddings == 128 and model.config.tie_word_embeddings
    assert (found["model.embed_tokens.weight"] == weights["token_embd"]).all()
    assert (found["model.norm.weight"] == weights["output_norm"]).all()
    assert (found["model.layers.1.self_attn.v_proj.weight"] == weights["blk.1.attn_v"]).all()
    assert (found["model.layers.1.mlp.down_proj.weight"] == weights["blk.1.ffn_down"]).all()
    # GGUF turns rows 0 and 1, 2 and 3 of a head together; transformers row 0 and the middle one, and so on.
    head = HIDDEN // HEADS
    halves = [*range(0, head, 2), *range(1, head, 2)]
    assert (found["model.layers.0.self_attn.k_proj.weight"] == weights["blk.0.attn_k"][halves]).all()
    both = [*halves, *(head + row for row in halves)]
    assert (found["model.layers.0.self_attn.q_proj.weight"] == weights["blk.0.attn_q"][both]).all()


def test_digits_are_tokens_one_by_one_and_no_other_file_is_left(folder: Path) -> None:
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors", ".jinja"}
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.tokenize("ab 12") == ["ab", "Ġ", "1", "2"]
    assert tokenizer.decode(tokenizer("ab<|im_end|>12").input_ids) == "ab<|im_end|>12"
    assert tokenizer.eos_token == tokenizer.pad_token == "<|im_end|>" != tokenizer.bos_token == "<|im_start|>"
    assert tokenizer.model_max_length == 128
    assert tokenizer.apply_chat_template([{"role": "user", "content": "ab"}], tokenize=False) == "ab"


@pytest.mark.parametrize("content", [b"onnx" + b"\0" * 400, b""])
def test_what_is_no_gguf_file_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        convert_gguf(content, tmp_path)
