"""Settings of a CDVFT adapter, checked when made."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peft
import torch
from huggingface_hub import ModelCard

from cdvft.kernels.cost_model import BACKENDS, Backend
from cdvft.registration import CDVFTPeftType

INIT_VARIANTS = ("zero_output", "zero_circulant", "zero_input")
BIAS_CHOICES = ("none", "all", "cdvft_only")
MAX_M = 64
"""Diagonals of a layer: each more costs two more transforms of every token forward, and more backward."""
MAX_ALPHA = torch.finfo(torch.float32).max
"""A larger scale would be infinite in float32, in which updates are computed."""


@dataclass
class CDVFTConfig(peft.PeftConfig):
    """Configuration of a `CDVFTModel`: h' = W x + alpha dW x with dW = diag circ diag ... circ diag.

    Source: Ding, Chen, Liao, Wang, "Parameter-Efficient Fine-Tuning with Circulant and Diagonal Vectors",
    IJCAI 2025 (arXiv 2505.00580).

    Args:
        m: number of diagonals, from 2 to 64, around m - 1 circulants. 2 is the paper's choice.
        alpha: scale of the update, of either sign but not 0, and finite in float32.
        block_size: size p of the circulant blocks, at most max(d_out, d_in); the circulants after the first,
            which are d_out x d_out, have blocks of min(p, d_out). None takes d for square layers, otherwise
            the greatest common divisor of d_in and d_out, or the smaller of the two, with padding, where that
            is under 32, and one block for each circulant after the first.
        target_modules: names, or one regular expression, of the layers to adapt; "all-linear" for every
            linear layer. None takes the usual ones of a known architecture.
        exclude_modules: names, or one regular expression, of layers to leave alone.
        init_weights: which one factor starts at zero, so that training starts at the pretrained model. True
            or "zero_output": the last diagonal. "zero_circulant": the last circulant. "zero_input": the first
            diagonal. The other diagonals are ones, the other circulants ~ N(0, 1 / (q2 p)). False: no zero
            factor, all random.
        backend: how layers compute, to the same result. "fft": transforms of the input, by a compiled kernel
            where there is one. "merged": a temporary dense update. "reference": plain torch operations left
            to autograd. "auto": the faster of the first two for each shape and number of tokens. "fused": the
            Triton kernels, where they support the layer.
        m_pattern: numbers of diagonals that differ from `m`, by layer name or regular expression.
        block_size_pattern: block sizes that differ from `block_size`, by layer name or regular expression.
        alpha_pattern: alphas that differ from `alpha`, by layer name or regular expression.
        cdvft_dropout: probability with which an entry of the update's input is zeroed in training; W gets the
            whole input.
        bias: "none", "all", or "cdvft_only" (those of the adapted layers): the biases to train.
        modules_to_save: layers besides the adapted ones to train and save, such as a new head.
        trainable_token_indices: tokens whose embeddings are trained and saved besides, as a list or by the
            name of the embedding.
        ensure_weight_tying: whether an output embedding that shares the input embedding's weight shares what
            `modules_to_save` or `trainable_token_indices` train of it.
        target_parameters: names of parameters to adapt besides, or their last parts, such as the experts of a
            mixture, ["experts.gate_up_proj", "experts.down_proj"]. Every expert has vectors of its own.
        layers_to_transform: indexes of the layers to adapt, where `target_modules` is a list.
        layers_pattern: name of the list of layers that those indexes count.
        fan_in_fan_out: whether the targets store their weight as (d_in, d_out). Each layer's type decides:
            None checks nothing, and a value that contradicts a layer causes a warning.
        needs: what a program must do before PEFT can load this; for those who read the saved file.

    Raises:
        ValueError: if a value is not allowed; the message names it.
    """

    m: int = 2
    alpha: float = 1.0
    block_size: int | None = None
    target_modules: list[str] | set[str] | str | None = None
    exclude_modules: list[str] | set[str] | str | None = None
    init_weights: bool | str = True
    backend: Backend = "auto"
    m_pattern: dict[str, int] = field(default_factory=dict)
    block_size_pattern: dict[str, int] = field(default_factory=dict)
    alpha_pattern: dict[str, float] = field(default_factory=dict)
    cdvft_dropout: float = 0.0
    bias: str = "none"
    modules_to_save: list[str] | None = None
    trainable_token_indices: list[int] | dict[str, list[int]] | None = None
    ensure_weight_tying: bool = False
    target_parameters: list[str] | None = None
    layers_to_transform: list[int] | int | None = None
    layers_pattern: list[str] | str | None = None
    fan_in_fan_out: bool | None = None
    needs: str = "import cdvft"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = CDVFTPeftType.CDVFT
        _check_m("m", self.m)
        _check_alpha("alpha", self.alpha)
        if self.block_size is not None:
            _check_block_size("block_size", self.block_size)
        self._check_pattern("m_pattern", _check_m)
        self._check_pattern("block_size_pattern", _check_block_size)
        self._check_pattern("alpha_pattern", _check_alpha)
        _check_dropout(self.cdvft_dropout)
        self._check_choices()
        self._check_targets()

    def to_dict(self) -> dict[str, Any]:
        """PEFT's, without the repetitions that its models for classification add to `modules_to_save`."""
        found: dict[str, Any] = super().to_dict()
        if found["modules_to_save"] is not None:
            found["modules_to_save"] = list(dict.fromkeys(found["modules_to_save"]))
        return found

    def save_pretrained(self, save_directory: str, **kwargs: Any) -> None:
        """PEFT's; names this package in the card that PEFT has written just before, if it has."""
        super().save_pretrained(save_directory, **kwargs)
        folder = Path(save_directory)
        for card in (folder / "README.md", folder.parent / "README.md"):  # an adapter's own folder, or above
            if card.is_file() and _is_of_peft(card):
                _name_in_card(card)
                return

    def _check_pattern(self, name: str, check: Any) -> None:
        pattern = getattr(self, name)
        if pattern is None:
            setattr(self, name, {})
            return
        if not isinstance(pattern, Mapping):
            raise ValueError(
                f"{name} is {pattern!r}, but it must map layer names or regular expressions to values, "
                'such as {"layer.0.attention.self.query": 64}.'
            )
        for key, value in pattern.items():
            _check_expression(f"{name} has the key {key!r}", key_expression(key))
            check(f"{name}[{key!r}]", value)

    def _check_choices(self) -> None:
        if not isinstance(self.init_weights, bool) and self.init_weights not in INIT_VARIANTS:
            raise ValueError(
                f"init_weights is {self.init_weights!r}, but it must be True, False or one of "
                f"{', '.join(map(repr, INIT_VARIANTS))}. Use True to start at the pretrained model."
            )
        if self.backend not in BACKENDS:
            raise ValueError(
                f"backend is {self.backend!r}, but it must be one of {', '.join(map(repr, BACKENDS))}. "
                "Use 'auto' for the fastest."
            )
        if self.bias not in BIAS_CHOICES:
            raise ValueError(
                f"bias is {self.bias!r}, but it must be one of {', '.join(map(repr, BIAS_CHOICES))}. "
                "Use 'none' to train no bias."
            )

    def _check_targets(self) -> None:
        for name in ("target_modules", "exclude_modules"):
            value = getattr(self, name)
            if isinstance(value, str):
                _check_expression(f"{name} is {value!r}", value)
            else:
                _check_names(name, value, "a list of names, or a regular expression as a string")
            if isinstance(value, list):
                setattr(self, name, set(value))
        for name in ("modules_to_save", "target_parameters"):
            _check_names(name, getattr(self, name), "a list of names")
        if isinstance(self.target_modules, str):
            for name in ("layers_to_transform", "layers_pattern"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"`{name}` cannot be used when `target_modules` is a str. "
                        f"Give target_modules as a list of names, or put the layers into the expression "
                        f"{self.target_modules!r}."
                    )
        pattern = self.layers_pattern
        if not isinstance(pattern, str):
            _check_names("layers_pattern", pattern, "a list of names")
        for one in [pattern] if isinstance(pattern, str) else pattern or ():
            _check_expression(f"layers_pattern is {one!r}", layers_expression(one))
        _check_tokens(self.trainable_token_indices)
        layers = self.layers_to_transform
        each = layers if isinstance(layers, Collection) and not isinstance(layers, str) else [layers]
        if layers is not None and not all(_is_whole(one) for one in each):
            raise ValueError(
                f"layers_to_transform is {layers!r}, but it must be the index of a layer or a list of "
                "them, in whole numbers. Use [0, 1] for the first two."
            )
        if self.layers_pattern and self.layers_to_transform is None:
            raise ValueError(
                f"layers_pattern is {self.layers_pattern!r}, but it only says what layers_to_transform "
                "counts. When `layers_pattern` is specified, `layers_to_transform` must also be specified."
            )


def key_expression(key: str) -> str:
    """Return what PEFT matches with the name of a layer for a key of `m_pattern` and its like."""
    return rf"(.*\.)?({key})$"


def layers_expression(pattern: str) -> str:
    """Return what PEFT matches with the name of a layer for one of `layers_pattern`."""
    return rf"(?:^|.*?\.){pattern}\.(?P<idx>\d+)\."


CARD = """## Loading

This is a CDVFT adapter, which PEFT loads once `cdvft` is imported: `pip install ./cdvft` in a checkout
of its repository, as it is on no package index yet, and

    import cdvft

Without it PEFT raises `KeyError: 'CDVFT'`.
"""


def _is_of_peft(card: Path) -> bool:
    """Return whether a card's metadata, between its first two lines of dashes, name PEFT as the library."""
    before, _, rest = card.read_text(encoding="utf-8", errors="replace").partition("---")
    return not before.strip() and "library_name: peft" in rest.partition("---")[0]


def _name_in_card(path: Path) -> None:
    card = ModelCard.load(path)
    card.data["tags"] = sorted({*(card.data.get("tags") or []), "cdvft"})
    if "import cdvft" not in card.text:
        card.text = f"{card.text.rstrip()}\n\n{CARD}"
    card.save(path)


def _check_names(name: str, value: object, allowed: str) -> None:
    if value is None:
        return
    listed = isinstance(value, Collection) and all(isinstance(one, str) for one in value)
    if isinstance(value, (str, Mapping)) or not listed:
        raise ValueError(
            f"{name} is {value!r}, but it must be {allowed}. Put names into a list, a single one too, such "
            'as ["query"].'
        )


def _check_tokens(value: object) -> None:
    lists = list(value.values()) if isinstance(value, Mapping) else [value]
    listed = [
        isinstance(one, (list, tuple)) and one and all(_is_whole(token) and token >= 0 for token in one)
        for one in lists
    ]
    if value is not None and not (lists and all(listed)):
        raise ValueError(
            f"trainable_token_indices is {_short(value)}, but it must be a list of tokens, whole numbers "
            'from 0, or such a list by the name of the embedding. Use [0, 1], or {"embed_tokens": [0, 1]}.'
        )


def _check_expression(what: str, expression: str) -> None:
    try:
        re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(
            f"{what}, but that is no regular expression: {error}. Put a backslash before a sign that "
            "stands for itself, or give the whole names of layers."
        ) from None


def _short(value: object) -> str:
    """Its representation, shortened; Python refuses to format integers of thousands of digits."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= 200 else f"{text[:200]}..."


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_m(name: str, value: object) -> None:
    if not _is_whole(value) or not 2 <= value <= MAX_M:  # type: ignore[operator]
        raise ValueError(
            f"{name} is {_short(value)}, but the number of diagonals must be a whole number of at least 2, "
            f"and at most {MAX_M}. Use m=2 for two diagonals around one circulant, the usual choice."
        )


def _check_block_size(name: str, value: object) -> None:
    if not _is_whole(value) or value < 1:  # type: ignore[operator]
        raise ValueError(
            f"{name} is {_short(value)}, but a block size must be a whole number of at least 1. "
            "Choose one up to the layer's larger dimension, or leave it out for the default."
        )


def _check_alpha(name: str, value: object) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 < abs(value) <= MAX_ALPHA:  # type: ignore[arg-type]
        raise ValueError(
            f"{name} is {value!r}, but the scale of the update must be a finite number other than 0, up to "
            f"{MAX_ALPHA:.3g}, the largest of float32. Use 1.0, the usual choice."
        )


def _check_dropout(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ValueError(
            f"cdvft_dropout is {value!r}, but the share of dropped entries must be a number from 0 up to, "
            "not including, 1. Use 0.0 to drop nothing."
        )
