"""Measures engines and plans on a model's own layers.

`calibrate` compares each engine and plan with the reference in float64, times the correct ones, and stores
the times, which `engine_choice` uses from then on.
"""

from __future__ import annotations

import functools
import logging
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from cdvft.circulant import Factors
from cdvft.kernels.autograd_ops import autocast_dtype
from cdvft.kernels.engine_choice import (
    WRONG,
    ProblemKey,
    Seconds,
    Selection,
    keep_times,
    measured_times,
    problem_key,
    selections,
)
from cdvft.kernels.linear import adapted_linear, is_separate_update

logger = logging.getLogger(__name__)

TOLERANCES = {torch.float64: 1e-5, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Largest allowed error of a row relative to its norm, by the dtype of the input."""
MIN_ROUNDS = 3
"""Timed rounds at least, however long they take."""
OUTLIER = 1e4
"""How much larger one row, and one entry of another row, is in the inputs that results are compared on."""


def calibrate(
    model: nn.Module, tokens: int, seconds: float = 3.0, *, missing_only: bool = False
) -> dict[ProblemKey, Seconds]:
    """Time each engine and plan, forward and backward, for the shapes of a model's adapted layers.

    The times decide from then on, in this process and later ones, for numbers of tokens with the same nearest
    power of two, on this device with this driver and version of torch. The layers' own weights are used, with
    random inputs and vectors; the model is not changed. Off the CPU layers of half precision are timed twice:
    with an update that is merged into the weight, and with a smaller one. Under torch.autocast the dtypes are
    those that it chooses.

    Args:
        model: with CDVFT adapters, on the device that it will run on
        tokens: batch times sequence length
        seconds: for all shapes together; more where `MIN_ROUNDS` take longer
        missing_only: skip what was timed on this machine before

    Returns:
        median seconds by problem, engine and plan; infinite for those whose results differ from the reference
        by more than the dtype allows, which are never chosen

    Raises:
        ValueError: if the model has no such layer, or tokens is not positive.
        RuntimeError: if no engine runs on the device.
    """
    if tokens < 1:
        raise ValueError(f"tokens is {tokens}, but must be at least 1: batch size times sequence length.")
    layers = {
        _problem_key(layer, tokens, scale): (layer, scale) for layer in _layers(model) for scale in (0, 1)
    }
    if not layers:
        raise ValueError(
            "The model has no CDVFT adapter on a linear layer whose weight is of floating point: call "
            "get_peft_model first. Convolutions, experts and layers of quantized weights are not calibrated."
        )
    if missing_only:
        layers = {c: one for c, one in layers.items() if measured_times(c, one[0].weight.device) is None}
    measured = {}
    for key, (layer, scale) in layers.items():
        measured[key] = _measure(layer, tokens, scale, seconds / len(layers))
        keep_times(key, layer.weight.device, measured[key])
    return measured


def random_problem(layer: Any, tokens: int, scale: float) -> tuple[Tensor, Tensor, Tensor | None, Factors]:
    """Return a random input and random vectors of the layer's shapes and dtypes, with its weight and bias.

    scale: of the update, 0 for one that rounding loses in a weight of half precision
    """
    base, factors = layer.get_base_layer(), layer.factors(next(iter(layer.cdvft_circulants)))
    weight = _plain_weight(layer)
    assert weight is not None
    dtype = autocast_dtype(weight) or weight.dtype
    x = torch.randn(tokens, layer.in_features, device=weight.device, dtype=torch.float32).to(dtype)

    def randomized(vectors: Any) -> list[Tensor]:
        return [torch.randn_like(v).requires_grad_() for v in vectors]

    vectors = Factors(randomized(factors.diagonals), randomized(factors.circulants), scale * factors.alpha)
    bias = None if base.bias is None else base.bias.detach().to(dtype)
    return x.requires_grad_(), weight.detach().to(dtype), bias, vectors


def _layers(model: nn.Module) -> Iterator[Any]:
    layer: Any
    for layer in model.modules():
        if getattr(layer, "cdvft_circulants", None) and _plain_weight(layer) is not None:
            yield layer


def _plain_weight(layer: Any) -> Tensor | None:
    """Return the weight (d_out, d_in) that an update may be merged into for a pass.

    None for convolutions and quantized weights, beside which updates are computed by themselves, and for
    parameters that are adapted without a layer.
    """
    base = layer.get_base_layer()
    weight: Any = getattr(base, "weight", None) if layer.parameter_name == "weight" else None
    if type(weight) not in (nn.Parameter, Tensor) or weight.dim() != 2 or not weight.is_floating_point():
        return None
    plain: Tensor = weight.T if layer.weight_is_transposed else weight
    return plain


def _problem_key(layer: Any, tokens: int, scale: float) -> ProblemKey:
    x, weight, bias, factors = random_problem(layer, 1, scale)
    separate = is_separate_update(x, weight, bias, factors)
    return problem_key(x.expand(tokens, -1), factors.diagonals, factors.circulants, separate=separate)


def _measure(layer: Any, tokens: int, scale: float, seconds: float) -> Seconds:
    """Median seconds of a forward and backward pass by each engine and plan, in random order every round."""
    x, weight, bias, factors = random_problem(layer, tokens, scale)
    grad = torch.randn(tokens, layer.out_features, device=x.device, dtype=torch.float32).to(x.dtype)
    inputs = [x, *factors.diagonals, *factors.circulants]
    times: dict[Selection, list[float]] = {}
    wrong: dict[str, float] = {}
    reference = _results((x, weight, bias, factors), grad, None)

    def run(selection: Selection) -> None:
        torch.autograd.grad(adapted_linear(x, weight, bias, factors, selection), inputs, grad)

    for selection in selections(x, factors.circulants):
        try:
            run(selection)  # compiles what is compiled on first use
            results = _results((x, weight, bias, factors), grad, selection)
            if difference := _difference(results, reference, x.dtype):
                logger.warning("%s will not be chosen on %s: %s", selection.key, x.device, difference)
                wrong[selection.key] = WRONG
                continue
            times[selection] = []
        except Exception as error:  # anything that a compiler or a driver raises
            logger.warning("%s does not run on %s and will not be chosen: %s", selection.key, x.device, error)
    if not times:
        raise RuntimeError(f"No engine runs on {x.device}: the warnings before this say why.")
    order, end = random.Random(0), time.monotonic() + seconds
    while time.monotonic() < end or len(next(iter(times.values()))) < MIN_ROUNDS:
        for selection in order.sample(list(times), len(times)):
            times[selection].append(_seconds(functools.partial(run, selection), x.device))
    return {**{selection.key: statistics.median(found) for selection, found in times.items()}, **wrong}


def _results(
    layer: tuple[Tensor, Tensor, Tensor | None, Factors], grad: Tensor, selection: Selection | None
) -> list[Tensor]:
    """Output and gradients by the input and each vector, with outliers; None for the reference in float64."""
    x, weight, bias, factors = layer
    rows, grads = x.detach().clone(), grad.clone()
    for t in (rows, grads):
        t[:1] *= OUTLIER
        t[1:2, :1] *= OUTLIER
    given = [rows, weight, *(v.detach() for v in (*factors.diagonals, *factors.circulants))]
    given, m = given if bias is None else [*given, bias], len(factors.diagonals)
    if selection is None:
        device = "cpu" if x.device.type == "mps" else x.device  # MPS has no float64
        given, grads = [t.to(device, torch.float64) for t in given], grads.to(device)
    leaf, matrix, *rest = given
    vectors, shift = (rest, None) if bias is None else (rest[:-1], rest[-1])
    leaves = [t.clone().requires_grad_() for t in (leaf, *vectors)]
    own = Factors(leaves[1 : m + 1], leaves[m + 1 :], factors.alpha)
    y = adapted_linear(leaves[0], matrix, shift, own, "reference" if selection is None else selection)
    by_x, *by_vectors = torch.autograd.grad(y, leaves, grads.to(y.dtype))
    return [y.detach(), by_x, *(v.flatten()[None] for v in by_vectors)]


def _difference(results: list[Tensor], reference: list[Tensor], dtype: torch.dtype) -> str | None:
    """Which result differs from the reference by more than the tolerance in any row; None if none does."""
    names = ["its output", "its gradient by the input"]
    names += ["its gradient by a vector"] * (len(reference) - 2)
    for name, result, exact in zip(names, results, reference, strict=True):
        norms = exact.norm(dim=1).clamp(min=torch.finfo(torch.float32).tiny)
        off = float(((result.to(exact.device, torch.float64) - exact).norm(dim=1) / norms).max())
        if not off <= TOLERANCES[dtype]:
            return (
                f"{name} is off by {off:.2g} of its norm, and {TOLERANCES[dtype]:.2g} is allowed for {dtype}"
            )
    return None


def _seconds(run: Callable[[], None], device: torch.device) -> float:
    """Duration of a call, by the device's own events on CUDA."""
    if device.type != "cuda":
        start = time.perf_counter()
        run()
        return time.perf_counter() - start
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    run()
    last.record()
    last.synchronize()
    return first.elapsed_time(last) / 1e3
