"""A model as the shapes of its layers, and what the frozen model itself costs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from cdvft.blocks import matches
from cdvft.cost import Shape
from cdvft_app.catalog.entries import Kind, LinearGroup
from cdvft_app.settings import InvalidChoice

ALL_LINEAR = "all-linear"
"""PEFT's word for every linear layer but the output layer."""
WRITERS = ("ForCausalLM", "LMHeadModel")
"""How transformers' classes of causal language models end."""


class NotPlain(InvalidChoice):
    """A model whose layers do not all see the same tokens, so that its costs are not counted by formula.

    `architecture` is timm's name where timm builds it.
    """

    def __init__(self, sentence: str, architecture: str | None = None) -> None:
        super().__init__(sentence)
        self.architecture = architecture


@dataclass(frozen=True)
class ModelShapes:
    """A backbone without pooler and classification head; a generator with its output layer.

    Args:
        name: full id.
        kind: text (an encoder), generation (a causal language model) or image.
        hidden_size: width of a token.
        layers: every linear layer by its full name, in the model's order, nearly that of the forward pass.
        convolutions: patch embeddings, as matrices that every patch meets; they take no adapter here.
        attention_layers: number of attention layers.
        attention_width: heads times head size.
        total_parameters: all, shared ones once.
        default_targets: suffixes of the layers usually adapted.
        tokens: those of one image; None where the text decides.
        max_length: most tokens that the model takes; None where nothing bounds them.
        image_size: side of its images in pixels; None where it reads text.
        output_layer: name of a generator's output layer.
        scores: attention scores a pair of tokens that training keeps for dropout's backward: one a head, 0
            without dropout.
        dropped: activations a token that dropout acts on outside attention.
        written_out: numbers a token that activations made of several operations keep, beside their input.
    """

    name: str
    kind: Kind
    hidden_size: int
    layers: tuple[Shape, ...]
    convolutions: tuple[Shape, ...]
    attention_layers: int
    attention_width: int
    total_parameters: int
    default_targets: tuple[str, ...]
    tokens: int | None
    max_length: int | None
    image_size: int | None = None
    output_layer: str = ""
    scores: int = 0
    dropped: int = 0
    written_out: int = 0

    @property
    def other_parameters(self) -> int:
        """Parameters outside `layers` and `convolutions`: embeddings, norms, tokens."""
        trained = (*self.layers, *self.convolutions)
        return self.total_parameters - sum(shape.weights + shape.bias * shape.d_out for shape in trained)

    def select(self, targets: tuple[str, ...]) -> tuple[Shape, ...]:
        """Return the layers that PEFT would adapt: whose name is, or ends in a dot and, one of the targets.

        The first of them, and those that read the same tensor, pass no gradient on: what precedes is frozen.

        Raises:
            InvalidChoice: a target matches no layer, or there is no target.
        """
        if targets == (ALL_LINEAR,):
            targets = tuple(shape.name for shape in self.layers if shape.name != self.output_layer)
        if not targets:
            raise InvalidChoice(f"targets: none given. {self.name} has {', '.join(self.target_names())}.")
        for target in targets:
            if not any(matches(shape.name, target) for shape in self.layers):
                raise InvalidChoice(
                    f"targets: {self.name} has no linear layer {target!r}. It has "
                    f"{', '.join(self.target_names())}; {ALL_LINEAR} means all."
                )
        found = [shape for shape in self.layers if any(matches(shape.name, target) for target in targets)]
        first = found[0]
        return tuple(
            replace(shape, input_gradient=False) if _reads_same_tensor(shape, first) else shape
            for shape in found
        )

    @property
    def gated(self) -> int:
        """Outputs a token, over all blocks, of activations that a gate multiplies: gelu or silu(g) u.

        A block whose last layer reads half of what the layers beside it write has such a gate.
        """
        width = 0
        for *before, down in in_blocks(self.layers):
            beside = [one for one in before if _parent(one) == _parent(down)]
            width += down.d_in if sum(one.d_out for one in beside) == 2 * down.d_in else 0
        return width

    def target_names(self) -> tuple[str, ...]:
        """Return the names within a block that can be targeted, each once."""
        return tuple(dict.fromkeys(name_in_block(shape) for shape in self.layers))

    def forward_flops_per_token(self, sequence: int) -> float:
        """Return the FLOPs of the frozen model's forward pass per token.

        They are 2 d_out d_in a linear layer and patch, and 4 T w an attention layer of width w.

        Attention looks at all T tokens of the sequence: masks save nothing here. Norms, activations and
        look-ups are left out.
        """
        products = sum(2.0 * shape.weights for shape in (*self.layers, *self.convolutions))
        return products + self._attention(sequence)

    def backward_flops_per_token(self, sequence: int, adapted: tuple[Shape, ...] | None) -> float:
        """Return the FLOPs per token that bring the gradient down to the first of the adapted layers.

        A linear layer pays 2 d_out d_in, and attention 2.5 times its forward: fused kernels compute the
        scores again. What comes before the first adapted layer, or reads the same tensor as it, pays nothing.
        With None everything trains, embeddings too, and every linear layer pays.
        """
        if adapted is None:
            return sum(2.0 * shape.weights for shape in self.layers) + 2.5 * self._attention(sequence)
        first = next(i for i, shape in enumerate(self.layers) if shape.name == adapted[0].name)
        above = sum(
            2.0 * s.weights for s in self.layers[first:] if not _reads_same_tensor(s, self.layers[first])
        )
        passed = self._attention_layers_above(first) / self.attention_layers
        return above + 2.5 * passed * self._attention(sequence)

    def recomputed_flops_per_token(self, sequence: int, adapted: tuple[Shape, ...] | None) -> float:
        """Return the FLOPs per token of the second forward pass that checkpointing makes.

        It is that of whole blocks, from the first adapted layer's on; with None everything trains. At the end
        of a block torch leaves out what no gradient needs, such as its last layer where that is frozen.
        """
        names = [shape.name for shape in self.layers]
        again = blocks(self.layers[names.index(adapted[0].name) :] if adapted else self.layers)
        products = sum(2.0 * shape.weights for shape in self.layers if _block(shape.name) in again)
        return products + self._attention(sequence) * len(again) / (len(blocks(self.layers)) or 1)

    def _attention(self, sequence: int) -> float:
        return 4.0 * sequence * self.attention_width * self.attention_layers

    def _attention_layers_above(self, first: int) -> int:
        """Return how many attention layers the gradient passes: one a block, fed by its first layers."""
        numbered = blocks(self.layers)
        block = _block(self.layers[first].name)
        if block not in numbered:
            return 0
        opening = next(shape for shape in self.layers if _block(shape.name) == block)
        return (
            self.attention_layers
            - numbered.index(block)
            - (not _reads_same_tensor(self.layers[first], opening))
        )


def name_in_block(shape: Shape) -> str:
    """Return the layer's name within its block, such as attention.self.query."""
    return _in_block(shape.name)


def _in_block(name: str) -> str:
    return re.split(r"\.\d+\.", name)[-1]


def grouped(layers: Iterable[tuple[str, int, int]]) -> tuple[LinearGroup, ...]:
    """Return layers, (name, d_out, d_in), grouped by name within their blocks and by shape."""
    found: dict[tuple[str, int, int], list[str]] = {}
    for name, d_out, d_in in layers:
        found.setdefault((_in_block(name), d_out, d_in), []).append(name)
    return tuple(LinearGroup(*group, len(names), tuple(names)) for group, names in found.items())


def _reads_same_tensor(one: Shape, other: Shape) -> bool:
    """Return whether two layers read the same tensor."""
    return one.name == other.name or (one.source == other.source != "")


def blocks(layers: tuple[Shape, ...]) -> list[str]:
    """Return the numbered blocks that the layers are in, in order."""
    return [*_by_block(layers)]


def in_blocks(layers: tuple[Shape, ...]) -> list[list[Shape]]:
    """Return the layers of each numbered block."""
    return [*_by_block(layers).values()]


def _by_block(layers: tuple[Shape, ...]) -> dict[str, list[Shape]]:
    found: dict[str, list[Shape]] = {}
    for shape in layers:
        if block := _block(shape.name):
            found.setdefault(block, []).append(shape)
    return found


def _parent(shape: Shape) -> str:
    return shape.name.rpartition(".")[0]


def _block(name: str) -> str:
    """Return the numbered block that a layer is in, such as encoder.layer.0; empty for none."""
    found = re.match(r"(.*\.\d+)\.", name)
    return found.group(1) if found else ""
