"""Which engine serves a layer, and why, for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from cdvft.kernels import native, timings
from cdvft.kernels.linear import is_apart
from cdvft.kernels.passes import HALF, autocast_dtype, product_dtype
from cdvft.kernels.selection import ENGINES, select, why_not

DESCRIPTIONS = {
    "native": "the compiled C library",
    "fused": "the fused Triton kernel",
    "chunked": "torch's own transforms, a few tokens at a time",
    "reference": "plain operations of torch, left to autograd",
}


@dataclass(frozen=True)
class Explanation:
    """What serves a layer, and why; `str` says it in sentences.

    engine: "native", "fused", "chunked" or "reference", which carries out what is not merged
    merged_forward, merged_gradients: whether a pass goes through a dense update in place of transforms
    measured: whether times on this machine chose, not the rule
    seconds: those times, forward and backward, by "engine, way"; empty where nothing was measured
    others: why the engines that come before could not serve
    reason: in a sentence
    """

    engine: str
    merged_forward: bool
    merged_gradients: bool
    measured: bool
    seconds: dict[str, float]
    others: dict[str, str]
    reason: str

    def __str__(self) -> str:
        passes = {"forward": self.merged_forward, "gradients": self.merged_gradients}
        merged = [name for name, dense in passes.items() if dense]
        walked = [name for name in passes if name not in merged]
        parts = [f"{' and '.join(walked)} by {DESCRIPTIONS[self.engine]}"] if walked else []
        parts += [f"{' and '.join(merged)} through the dense update W + alpha dW"] if merged else []
        said = "; ".join(parts)
        lines = [f"{said[0].upper()}{said[1:]}.", self.reason]
        if self.engine == "native" and walked and not native.is_parallel():
            lines.append("On one thread: the compiler that made the library has no OpenMP.")
        lines += [f"Not by {DESCRIPTIONS[name]}: {why}." for name, why in self.others.items()]
        return "\n".join(lines)


def explain(layer: Any, tokens: int, adapter: str | None = None) -> Explanation:
    """Which engine and way serve a layer's adapter on so many tokens, and why; under autocast if that is on.

    Args:
        layer: with CDVFT adapters, such as `model.base_model.model.encoder.layer[0].attention.self.query`
        tokens: batch times sequence length
        adapter: its name; None for the first

    Raises:
        ValueError: if the layer has no such adapter.
    """
    names = list(getattr(layer, "cdvft_circulants", ()))
    adapter = names[0] if names and adapter is None else adapter
    if adapter not in names:
        raise ValueError(
            f"Got {type(layer).__name__} and adapter {adapter!r}, but a layer with a CDVFT adapter is "
            f"needed; this one has {names or 'none'}."
        )
    backend = layer.cdvft_backend[adapter]
    if backend == "reference":
        return Explanation("reference", False, False, False, {}, {}, _CONFIGURED.format(backend))
    factors, base = layer.factors(adapter), layer.get_base_layer()
    weight = base.weight.T if layer.weight_is_transposed else base.weight.flatten(1)  # of a convolution
    dtype = weight.dtype if weight.dtype.is_floating_point else torch.float32  # of quantized layers unknown
    if autocast := autocast_dtype(weight):
        weight, dtype = weight.to(autocast), autocast
    x = torch.empty(1, layer.in_features, dtype=dtype, device=weight.device).expand(tokens, -1)
    apart, vectors = is_apart(x, weight, base.bias, factors), (factors.diagonals, factors.circulants)
    lost = apart and dtype in HALF and product_dtype(x, torch.float32) == dtype and not weight.requires_grad
    selection = select(x, *vectors, apart=apart, backend=backend)
    found = timings.measured(timings.case_of(x, *vectors, apart=apart), x.device) if backend == "auto" else {}
    seconds = {key: value for key, value in (found or {}).items() if selection.key in (found or {})}
    return Explanation(
        engine=selection.engine,
        merged_forward=selection.plan.merged_forward,
        merged_gradients=selection.plan.merged_gradients,
        measured=bool(seconds),
        seconds=seconds,
        others={
            name: why
            for name in ENGINES
            if name not in (selection.engine, "chunked") and (why := why_not(name, x, factors.circulants))
        },
        reason=_reason(backend, seconds, x.device, tokens)
        + (_LOST if lost and selection.plan.merged_forward else ""),
    )


_CONFIGURED = "The adapter's configuration says backend={!r}."
_LOST = (
    " The update has a product of its own, for in a weight of half precision it would be lost by rounding."
)
_CALIBRATE = "cdvft.kernels.calibrate(model, tokens) times every way here."


def _reason(backend: str, seconds: dict[str, float], device: torch.device, tokens: int) -> str:
    if backend != "auto":
        return _CONFIGURED.format(backend)
    if seconds:
        right = sorted((t, key) for key, t in seconds.items() if t != timings.WRONG)
        times = ", ".join(f"{key} {1e3 * t:.3g} ms" for t, key in right)
        wrong = ", ".join(sorted(key for key, t in seconds.items() if t == timings.WRONG))
        return (
            f"Measured on this {timings.machine(device)['name']}, forward and backward on about {tokens:,} "
            f"tokens: {times}."
        ) + (f" Left out, for results off by more than the dtype allows: {wrong}." if wrong else "")
    if device.type == "cpu":
        return f"By rates that were measured on another processor, an AMD EPYC; {_CALIBRATE}"
    if device.type == "mps":
        return "On MPS always: torch's complex numbers are slow there, matrix products fast."
    return f"By estimates from published rates, for nothing was timed on this device; {_CALIBRATE}"
