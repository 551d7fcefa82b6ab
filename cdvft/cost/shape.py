"""The shape of one kind of linear layer: all that a cost depends on."""

from __future__ import annotations

from dataclasses import dataclass

from cdvft.blocks import is_count


@dataclass(frozen=True)
class Shape:
    """`count` linear layers y = W x with W of d_out x d_in.

    Args:
        name: the module's name; the adapter file's header holds it, so full names make its size exact.
        d_out: rows of W.
        d_in: columns of W.
        count: layers of this shape.
        bias: whether there is a bias, which full fine-tuning and a head train too.
        source: name of the tensor the layer reads. Layers that read the same one (query, key and value; gate
            and up) share what autograd keeps of it. Empty: a tensor of its own.
        pooled: the layer sees one row a sequence (a pooler, a classification head), not one a token.
        conv1d: the layer is transformers' Conv1D, which stores W transposed and which C3A does not support.
        input_gradient: whether the gradient goes on to the layer's input, as it does unless that is frozen.

    Raises:
        ValueError: if a size or the count is not a whole number of at least 1.
    """

    name: str
    d_out: int
    d_in: int
    count: int = 1
    bias: bool = False
    source: str = ""
    pooled: bool = False
    conv1d: bool = False
    input_gradient: bool = True

    def __post_init__(self) -> None:
        for field in ("d_out", "d_in", "count"):
            require_count(f"{field} of {self.name}", getattr(self, field), "Give the layer's real size.")

    @property
    def weights(self) -> int:
        """Entries of one W."""
        return self.d_out * self.d_in


def require_count(name: str, value: object, advice: str) -> None:
    """Refuse anything but a whole number of at least 1, in a sentence."""
    if not is_count(value):
        raise ValueError(f"{name} is {value!r}, but must be a whole number of at least 1. {advice}")
