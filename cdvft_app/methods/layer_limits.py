"""What a method's sizes can be on given layers, whoever asks: a run that is planned, or a cost table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from cdvft_app.settings import InvalidChoice, Method


class Layer(Protocol):
    """A linear layer y = W x with W of d_out x d_in."""

    @property
    def name(self) -> str: ...
    @property
    def d_out(self) -> int: ...
    @property
    def d_in(self) -> int: ...


class Sizes(Protocol):
    """The settings that are checked; None stands for a default, which always fits."""

    @property
    def block_size(self) -> int | None: ...
    @property
    def fourierft_n(self) -> int: ...
    @property
    def c3a_block_size(self) -> int | None: ...


def require_fitting(method: Method, sizes: Sizes, layers: Sequence[Layer]) -> None:
    """Refuse sizes of the method that its layers cannot have.

    Raises:
        InvalidChoice: naming the setting, what came, the layer, and what is allowed.
    """
    for layer in layers:
        shape = f"{layer.name} is {layer.d_out} x {layer.d_in}"
        largest = max(layer.d_out, layer.d_in)
        if method == "cdvft" and (sizes.block_size or 1) > largest:
            raise InvalidChoice(
                f"block_size: got {sizes.block_size}; {shape}, so it can be at most {largest}. "
                "Leave it empty for each layer's default."
            )
        if method == "fourierft" and sizes.fourierft_n > layer.d_out * layer.d_in:
            raise InvalidChoice(
                f"fourierft_n: got {sizes.fourierft_n}; {shape}, so there are {layer.d_out * layer.d_in} "
                "frequencies. Choose fewer."
            )
    common, chosen = common_divisor(layers), sizes.c3a_block_size
    if method == "c3a" and chosen and common % chosen:
        raise InvalidChoice(
            f"c3a_block_size: got {chosen}; it must divide the sizes of all layers, and so {common}. "
            "Choose a divisor, or leave it empty."
        )


def common_divisor(layers: Sequence[Layer]) -> int:
    """The largest size that divides all of the layers, which PEFT advises for C3A; 0 where there is none."""
    return math.gcd(*(size for layer in layers for size in (layer.d_out, layer.d_in)))
