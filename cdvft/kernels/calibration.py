"""Compares and times every way of every engine on a model's own layers, so that measured times choose."""

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
from cdvft.kernels import timings
from cdvft.kernels.linear import adapted_linear, is_apart
from cdvft.kernels.passes import autocast_dtype
from cdvft.kernels.selection import Selection, selections
from cdvft.kernels.timings import WRONG, Case, Seconds, case_of

logger = logging.getLogger(__name__)

ALLOWED = {torch.float64: 1e-5, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""By how much of its norm a row may be off, by the dtype of the input."""
ROUNDS = 3
"""Rounds at least, whatever the time."""


def calibrate(
    model: nn.Module, tokens: int, seconds: float = 3.0, *, missing_only: bool = False
) -> dict[Case, Seconds]:
    """Time each way of each engine, forward and backward, for the shapes of a model's adapted layers.

    What is found chooses from then on, in this process and later ones, for numbers of tokens with the same
    nearest power of two, on this device with this driver and version of torch: `timings` keeps it. The
    layers' own weights take part, with input and vectors of random numbers; the model stays as it was. Off
    the CPU layers of half precision are timed twice: for updates that survive being merged, and for others.
    Under torch.autocast it is what that makes of them that is timed.

    Args:
        model: with CDVFT adapters, where it will run
        tokens: batch times sequence length
        seconds: to spend on all shapes together; more where three rounds take longer
        missing_only: leave out what was timed on this machine before

    Returns:
        median seconds by case and way; infinite for a way that is off from the method in float64 by more than
        the dtype allows, and never chosen

    Raises:
        ValueError: if the model has no such layer, or tokens is not positive.
        RuntimeError: if the device runs none of the ways.
    """
    if tokens < 1:
        raise ValueError(f"tokens is {tokens}, but must be at least 1: batch size times sequence length.")
    layers = {_case(layer, tokens, scale): (layer, scale) for layer in _layers(model) for scale in (0, 1)}
    if not layers:
        raise ValueError(
            "The model has no CDVFT adapter on a linear layer whose weight is of floating point: call "
            "get_peft_model first. Convolutions and layers of quantized weights are not calibrated."
        )
    if missing_only:
        layers = {c: one for c, one in layers.items() if timings.measured(c, one[0].weight.device) is None}
    found = {}
    for case, (layer, scale) in layers.items():
        found[case] = _timed(layer, tokens, scale, seconds / len(layers))
        timings.keep(case, layer.weight.device, found[case])
    return found


def problem(layer: Any, tokens: int, scale: float) -> tuple[Tensor, Tensor, Tensor | None, Factors]:
    """An input and vectors of random numbers of the layer's shapes and dtypes; its weight and bias.

    scale: of the update, 0 for one that is lost in a weight of half precision
    """
    base, factors = layer.get_base_layer(), layer.factors(next(iter(layer.cdvft_circulants)))
    weight = base.weight.T if layer.weight_is_transposed else base.weight
    dtype = autocast_dtype(weight) or weight.dtype
    x = torch.randn(tokens, layer.in_features, device=weight.device, dtype=torch.float32).to(dtype)

    def alike(vectors: Any) -> list[Tensor]:
        return [torch.randn_like(v).requires_grad_() for v in vectors]

    vectors = Factors(alike(factors.diagonals), alike(factors.circulants), scale * factors.alpha)
    bias = None if base.bias is None else base.bias.detach().to(dtype)
    return x.requires_grad_(), weight.detach().to(dtype), bias, vectors


def _layers(model: nn.Module) -> Iterator[Any]:
    layer: Any
    for layer in model.modules():
        if getattr(layer, "cdvft_circulants", None):
            weight = layer.weight
            if weight.dtype.is_floating_point and weight.dim() == 2:
                yield layer


def _case(layer: Any, tokens: int, scale: float) -> Case:
    x, weight, bias, factors = problem(layer, tokens, scale)
    return case_of(x, factors.diagonals, factors.circulants, apart=is_apart(x, weight, bias, factors))


def _timed(layer: Any, tokens: int, scale: float, seconds: float) -> Seconds:
    """Median seconds of a pass by each way, all in turns, in a fresh order every round."""
    x, weight, bias, factors = problem(layer, tokens, scale)
    grad = torch.randn(tokens, layer.out_features, device=x.device, dtype=torch.float32).to(x.dtype)
    inputs = [x, *factors.diagonals, *factors.circulants]
    found: dict[Selection, list[float]] = {}
    left_out: dict[str, float] = {}
    truth = _found((x, weight, bias, factors), grad, None)

    def run(way: Selection) -> None:
        torch.autograd.grad(adapted_linear(x, weight, bias, factors, way), inputs, grad)

    for way in selections(x, factors.circulants):
        try:
            run(way)  # compiles what is compiled on first use
            if wrong := _wrong(_found((x, weight, bias, factors), grad, way), truth, x.dtype):
                logger.warning("%s will not be chosen on %s: %s", way.key, x.device, wrong)
                left_out[way.key] = WRONG
                continue
            found[way] = []
        except Exception as error:  # whatever a compiler or a driver says: the way is not for this device
            logger.warning("%s does not run on %s and will not be chosen: %s", way.key, x.device, error)
    if not found:
        raise RuntimeError(f"No way of any engine runs on {x.device}: the warnings before this say why.")
    order, end = random.Random(0), time.monotonic() + seconds
    while time.monotonic() < end or len(next(iter(found.values()))) < ROUNDS:
        for way in order.sample(list(found), len(found)):
            found[way].append(_seconds(functools.partial(run, way), x.device))
    return {**{way.key: statistics.median(times) for way, times in found.items()}, **left_out}


OUTLIER = 1e4
"""How much larger than others a row is in `_found`, and in another row an entry."""


def _found(
    layer: tuple[Tensor, Tensor, Tensor | None, Factors], grad: Tensor, way: Selection | None
) -> list[Tensor]:
    """Output, gradient by the input and by each vector, beside large rows and entries; for None the truth."""
    x, weight, bias, factors = layer
    rows, grads = x.detach().clone(), grad.clone()
    for t in (rows, grads):
        t[:1] *= OUTLIER
        t[1:2, :1] *= OUTLIER
    given = [rows, weight, *(v.detach() for v in (*factors.diagonals, *factors.circulants))]
    given, m = given if bias is None else [*given, bias], len(factors.diagonals)
    if way is None:
        where = "cpu" if x.device.type == "mps" else x.device  # which has no float64
        given, grads = [t.to(where, torch.float64) for t in given], grads.to(where)
    leaf, matrix, *rest = given
    vectors, shift = (rest, None) if bias is None else (rest[:-1], rest[-1])
    leaves = [t.clone().requires_grad_() for t in (leaf, *vectors)]
    own = Factors(leaves[1 : m + 1], leaves[m + 1 :], factors.alpha)
    y = adapted_linear(leaves[0], matrix, shift, own, "reference" if way is None else way)
    by_x, *by_vectors = torch.autograd.grad(y, leaves, grads.to(y.dtype))
    return [y.detach(), by_x, *(v.flatten()[None] for v in by_vectors)]


def _wrong(found: list[Tensor], truth: list[Tensor], dtype: torch.dtype) -> str | None:
    """What is off by more of its norm than is allowed, in any row."""
    names = ["its output", "its gradient by the input"] + ["its gradient by a vector"] * (len(truth) - 2)
    for name, one, exact in zip(names, found, truth, strict=True):
        norms = exact.norm(dim=1).clamp(min=torch.finfo(torch.float32).tiny)
        off = float(((one.to(exact.device, torch.float64) - exact).norm(dim=1) / norms).max())
        if not off <= ALLOWED[dtype]:
            return f"{name} is off by {off:.2g} of its norm, and {ALLOWED[dtype]:.2g} is allowed for {dtype}"
    return None


def _seconds(run: Callable[[], None], device: torch.device) -> float:
    """By events of the device, where it has them."""
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
