"""Tiny real models in local folders, and rows that they can learn: no network, no mirror."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel, BertTokenizerFast, RobertaConfig, RobertaModel

from cdvft_app.catalog.dataset_readers import Split

MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = [*MARKS, "good", "bad", "fine", "awful", "film", "plot", "the", "a", "very"]
SIZES = {
    "vocab_size": len(WORDS), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 64, "max_position_embeddings": 40, "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.0,
}  # fmt: skip


def _text_folder(folder: Path, model: torch.nn.Module) -> Path:
    BertTokenizerFast(vocab={word: place for place, word in enumerate(WORDS)}).save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def bert(folder: Path, **more: float) -> Path:
    torch.manual_seed(0)
    return _text_folder(folder, BertModel(BertConfig(**{**SIZES, **more})))


def roberta(folder: Path) -> Path:
    torch.manual_seed(0)
    config = RobertaConfig(**SIZES, pad_token_id=0, type_vocab_size=2)
    return _text_folder(folder, RobertaModel(config))


def vit(folder: Path, architecture: str = "test_vit") -> Path:
    """A random model of timm."""
    torch.manual_seed(0)
    model = timm.create_model(architecture, num_classes=0)
    save_file(model.state_dict(), folder / "model.safetensors")
    normalisation = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    (folder / "config.json").write_text(
        json.dumps({"architecture": architecture, "pretrained_cfg": normalisation})
    )
    return folder


def reviews(count: int, seed: int) -> Split:
    """Texts of uneven length whose label is said by one word."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    texts = [
        " ".join([*random.choice(WORDS[9:], random.integers(1, 12)), ("bad", "good")[label]])
        for label in labels
    ]
    return Split(texts, labels)


def greys(count: int, seed: int) -> Split:
    """Noise whose label is its brightness."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    images = random.integers(0, 60, (count, 12, 12)) + 60 * labels[:, None, None]
    return Split(images.astype(np.uint8), labels)


def causal(folder: Path, kind: str = "llama", template: bool = True, hidden: int = 32) -> Path:
    """A random causal language model that reads bytes; with the chat template of SmolLM2, or with none."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<|end|>", "<|start|>", *letters]
    tokenizer = Tokenizer(models.BPE({word: place for place, word in enumerate(words)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", bos_token="<|start|>")
    if template:
        fast.chat_template = (
            "{% for m in messages %}<|start|>{{ m['role'][0] }} {{ m['content'] }}<|end|>{% endfor %}"
            "{% if add_generation_prompt %}<|start|>a {% endif %}"
        )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": hidden, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    sizes |= {"num_key_value_heads": 2, "max_position_embeddings": 256, "vocab_size": len(words) + 6}
    sizes |= {"eos_token_id": 0, "bos_token_id": 1, "initializer_range": 0.1}
    AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**sizes)).save_pretrained(folder)
    return folder


def numbers(count: int, seed: int) -> Split:
    """Prompts such as "go go 1", whose answer has the digit and, where it is even, a word."""
    random = np.random.default_rng(seed)
    digits = random.integers(1, 3, count)
    answers = [f"n: {digit}" + ("" if digit % 2 else "\nkind: even") for digit in digits]
    return Split([f"{'go ' * (1 + digit % 3)}{digit}" for digit in digits], np.array(answers, dtype=object))
