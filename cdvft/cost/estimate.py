"""What a fine-tuning method costs on a list of layers, by formula: parameters, bytes, FLOPs and memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from cdvft.blocks import matches, partitions
from cdvft.cost import flops, tensors
from cdvft.cost.flops import Flops
from cdvft.cost.shape import Shape, require_count

Method = Literal["cdvft", "lora", "fourierft", "c3a", "dora", "vera", "head", "full"]
METHODS: tuple[Method, ...] = get_args(Method)
Convention = Literal["real_fft", "asymptotic"]
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)

# The sentences behind each number, for a reader who points at it.
_OF_METHOD: Mapping[str, tuple[str, ...]] = {
    "cdvft": ("CDVFT keeps only its input and walks the factors again in the backward pass (its FFT path).",),
    "lora": ("LoRA runs without dropout, bias and DoRA.",),
    "dora": (
        "DoRA is LoRA with trained magnitudes; PEFT builds B A every step for its norms. W + B A and the "
        "norms themselves, 4 d_in d_out FLOPs a step, are not counted.",
        "DoRA runs without dropout, which would apply the frozen weights twice.",
    ),
    "vera": ("VeRA's A and B are frozen and shared by all layers; its file holds them, as PEFT saves them.",),
    "fourierft": (
        "FourierFT builds a dense weight change by a 2-D FFT every step and keeps it for the backward pass.",
        "FourierFT's file holds values only: their places are drawn again from a seed.",
    ),
    "c3a": ("C3A is counted as PEFT runs it, with full complex spectra.",),
    "head": ("Head only: the frozen model needs no backward pass.",),
    "full": ("Full fine-tuning adds weight gradients to the model's own forward and backward.",),
}
_OF_CONVENTION: Mapping[str, tuple[str, ...]] = {
    "real_fft": (
        "A real FFT of length n counts 2.5 n log2 n, a complex one 5 n log2 n, a multiply-add 2, "
        "a complex product 6.",
        "Scaling, adding the branch to the frozen output, copies and the optimizer are not counted, "
        "for any method.",
    ),
    "asymptotic": (
        "Counted as papers do: an FFT of N entries is N log2 N, products of spectra are dropped, "
        "and backward is twice forward, where a method has FFTs; the others count as they run.",
    ),
}
_OF_MEMORY = (
    "Adapter weights, gradients, activations and AdamW's two moments are float32.",
    "Merged for inference, an adapter costs nothing.",
)

_FLOAT32 = 4
_ADAPTER_PREFIX = "base_model.model."


@dataclass(frozen=True)
class Cost:
    """What a method adds to the frozen model for one training step of `batch` x `sequence` tokens.

    FLOPs are the method's own; the frozen model's forward and backward come on top, except that head-only
    training needs no backward through the model. The fixed ones are paid once a step whatever the batch.
    `assumptions` are the sentences behind the numbers.
    """

    method: Method
    convention: Convention
    batch: int
    sequence: int
    trainable_parameters: int
    adapter_bytes: int
    forward_flops_fixed: float
    forward_flops_per_token: float
    backward_flops_fixed: float
    backward_flops_per_token: float
    gradient_bytes: int
    optimizer_bytes: int
    activation_bytes_fixed: int
    activation_bytes_per_token: float
    assumptions: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """Tokens of a step."""
        return self.batch * self.sequence

    @property
    def forward_flops_per_step(self) -> int:
        """Fixed part and all tokens together."""
        return round(self.forward_flops_fixed + self.tokens * self.forward_flops_per_token)

    @property
    def backward_flops_per_step(self) -> int:
        """Fixed part and all tokens together."""
        return round(self.backward_flops_fixed + self.tokens * self.backward_flops_per_token)

    @property
    def flops_per_step(self) -> int:
        """Forward and backward together."""
        return self.forward_flops_per_step + self.backward_flops_per_step

    @property
    def activation_bytes(self) -> int:
        """Kept from forward to backward in one step."""
        return round(self.activation_bytes_fixed + self.tokens * self.activation_bytes_per_token)


def estimate(
    method: Method,
    shapes: Sequence[Shape],
    *,
    batch: int,
    sequence: int,
    m: int = 2,
    block_size: int | None = None,
    r: int = 8,
    rank_pattern: Mapping[str, int] | None = None,
    n: int = 1000,
    convention: Convention = "real_fft",
    other_parameters: int = 0,
    saved_besides: Sequence[Shape] = (),
) -> Cost:
    """Return the cost of a method on the layers it adapts, or trains.

    Args:
        method: head and full train the shapes; the others adapt them.
        shapes: target layers; for head those of the head, for full every linear layer of the model.
        batch: sequences, or images, a step.
        sequence: tokens in each.
        m: CDVFT's diagonals.
        block_size: p of CDVFT (None: each layer's default), or C3A's b (None: see `c3a_block_size`).
        r: rank of LoRA and DoRA, and the rows of VeRA's shared A.
        rank_pattern: ranks of LoRA and DoRA in place of r, by the names in which layers' names end.
        n: FourierFT's entries a layer.
        convention: how FLOPs are counted, see `cdvft.cost.flops`.
        other_parameters: trained besides the shapes' (embeddings, norms), for full fine-tuning.
        saved_besides: dense layers in the adapter's file, as PEFT's `modules_to_save`; `adapter_bytes` alone
            counts them.

    Raises:
        ValueError: with a sentence for each setting that cannot be.
    """
    _require_choice("method", method, METHODS)
    _require_choice("convention", convention, CONVENTIONS)
    if not shapes:
        raise ValueError("No layer to adapt: the list of shapes is empty. Name targets that the model has.")
    require_count("batch", batch, "Give the sequences or images of one step.")
    require_count("sequence", sequence, "Give the tokens of one sequence or image.")
    if method == "c3a":
        block_size = c3a_block_size(shapes, block_size)
    asymptotic = convention == "asymptotic"
    ranks = [_rank(shape, r, rank_pattern or {}) for shape in shapes]
    layers = [
        (shape, *_layer(method, shape, m=m, block_size=block_size, r=rank, n=n, asymptotic=asymptotic))
        for shape, rank in zip(shapes, ranks, strict=True)
    ]

    def total(field: str) -> float:
        return sum(shape.count * getattr(spent, field) for shape, _, spent in layers)

    def total_per_token(field: str) -> float:
        return sum(_rows(shape, sequence) * getattr(spent, field) for shape, _, spent in layers)

    parameters = (
        sum(shape.count * tensors.parameters(trained) for shape, trained, _ in layers) + other_parameters
    )
    named = [(shape, trained) for shape, trained, _ in layers]
    named += [(shape, tensors.dense(shape)) for shape in saved_besides]
    shared = tensors.vera_shared(shapes, r) if method == "vera" else ()
    whole_names = [(f"base_model.{name}", size) for name, size in shared]
    prefix = "" if method in ("head", "full") else _ADAPTER_PREFIX
    return Cost(
        method=method,
        convention=convention,
        batch=batch,
        sequence=sequence,
        trainable_parameters=parameters,
        adapter_bytes=tensors.safetensors_bytes(named, prefix, whole_names) + _FLOAT32 * other_parameters,
        forward_flops_fixed=total("forward_fixed"),
        forward_flops_per_token=total_per_token("forward_per_token"),
        backward_flops_fixed=total("backward_fixed"),
        backward_flops_per_token=total_per_token("backward_per_token"),
        gradient_bytes=_FLOAT32 * parameters,
        optimizer_bytes=2 * _FLOAT32 * parameters,
        activation_bytes_fixed=_kept_fixed(method, shapes, shared),
        activation_bytes_per_token=_kept_per_token(method, shapes, sequence, ranks),
        assumptions=(*_OF_METHOD[method], *_OF_CONVENTION[convention], *_OF_MEMORY),
    )


def c3a_block_size(shapes: Sequence[Shape], block_size: int | None = None) -> int:
    """C3A's b for these layers: the one given, else the greatest common divisor of all sizes (PEFT's advice).

    Raises:
        ValueError: if a layer is a Conv1D, or b does not divide every size.
    """
    for shape in shapes:
        if shape.conv1d:
            raise ValueError(
                f"{shape.name} is a Conv1D layer, which PEFT's C3A does not support. Leave C3A out."
            )
    common = math.gcd(*(size for shape in shapes for size in (shape.d_out, shape.d_in)))
    if block_size is None:
        return common
    require_count("block_size", block_size, f"It must divide every layer's sizes, and so {common}.")
    if common % block_size:
        raise ValueError(
            f"block_size is {block_size}, but for C3A it must divide every layer's sizes, and so {common}. "
            f"Choose a divisor, or leave it None for {common}."
        )
    return block_size


def _layer(
    method: Method, shape: Shape, *, m: int, block_size: int | None, r: int, n: int, asymptotic: bool
) -> tuple[tensors.Tensors, Flops]:
    match method:
        case "cdvft":
            parts = partitions(shape.d_out, shape.d_in, m, block_size)
            diagonals = shape.d_in + (m - 1) * shape.d_out
            spent = (
                flops.asymptotic_circulant(parts, diagonals)
                if asymptotic
                else flops.cdvft(shape, m, block_size)
            )
            return tensors.cdvft(shape, m, block_size), spent
        case "lora":
            require_count("r", r, "It is LoRA's rank; 8 is PEFT's default.")
            return tensors.lora(shape, r), flops.lora(shape, r)
        case "dora":
            require_count("r", r, "It is DoRA's rank; 8 is PEFT's default.")
            return tensors.dora(shape, r), flops.dora(shape, r)
        case "vera":
            require_count("r", r, "It is the rows of VeRA's shared A; 256 is PEFT's default.")
            return tensors.vera(shape, r), flops.vera(shape, r)
        case "fourierft":
            require_count("n", n, "It is the number of FourierFT's entries a layer; 1000 is usual.")
            if n > shape.weights:
                raise ValueError(
                    f"n is {n}, but {shape.name} of {shape.d_out} x {shape.d_in} has only {shape.weights} "
                    "spectral entries. Choose at most as many."
                )
            spent = flops.asymptotic_fourierft(shape) if asymptotic else flops.fourierft(shape)
            return tensors.fourierft(n), spent
        case "c3a":
            assert block_size is not None
            parts = partitions(shape.d_out, shape.d_in, 2, block_size)
            spent = flops.asymptotic_circulant(parts, 0) if asymptotic else flops.c3a(shape, block_size)
            return tensors.c3a(shape, block_size), spent
        case "head" | "full":
            return tensors.dense(shape), flops.dense(shape, forward=method == "head")


def _rank(shape: Shape, r: int, rank_pattern: Mapping[str, int]) -> int:
    """As PEFT chooses it: by the first name that is the layer's, or its end after a point."""
    fitting = (rank for name, rank in rank_pattern.items() if matches(shape.name, name))
    return next(fitting, r)


def _rows(shape: Shape, sequence: int) -> float:
    """Return how many rows all layers of this shape see for each token of the batch."""
    return shape.count / sequence if shape.pooled else shape.count


def _kept_fixed(method: Method, shapes: Sequence[Shape], shared: tensors.Tensors) -> int:
    """FourierFT keeps every dense dW from forward to backward, where the gradient of x needs it.

    VeRA keeps its shared B, and A where the gradient of any x needs it.
    """
    if method == "fourierft":
        return sum(_FLOAT32 * shape.count * shape.weights for shape in shapes if shape.input_gradient)
    needed = any(shape.input_gradient for shape in shapes)
    return _FLOAT32 * tensors.parameters(shared if needed else shared[1:])


def _kept_per_token(method: Method, shapes: Sequence[Shape], sequence: int, ranks: Sequence[int]) -> float:
    """Return the bytes kept for backward a token: x, once where layers share it, and intermediates of some.

    LoRA keeps A x; DoRA that, B A x and the frozen output; VeRA A x and B d A x, and not x: A is frozen.
    """
    inputs = {shape.source or i: _rows(shape, sequence) * shape.d_in for i, shape in enumerate(shapes)}
    intermediates = sum(
        _rows(shape, sequence) * _saved_intermediates(method, shape, rank)
        for shape, rank in zip(shapes, ranks, strict=True)
    )
    return _FLOAT32 * (intermediates + (0 if method == "vera" else sum(inputs.values())))


def _saved_intermediates(method: Method, shape: Shape, r: int) -> int:
    return {"lora": r, "dora": r + 2 * shape.d_out, "vera": r + shape.d_out}.get(method, 0)


def _require_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}, but must be one of {', '.join(allowed)}. Choose one of them.")
