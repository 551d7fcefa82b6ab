"""A cost model: transforms or the dense update, by a layer's shape and number of tokens.

Times are in nanoseconds on one thread with torch 2.13, fitted on an AMD EPYC (Zen 5, AVX-512); only ratios
matter. `multiply` lies between that machine's (0.02) and an Intel Xeon's, which multiplies matrices twice as
fast (0.0094): no small block loses to the dense update. "native" `product` and `build` were measured on the
Xeon; `build` is 0.27 to 0.29 on the EPYC.
`python -m benchmarks.speed` measures both side by side and prints where the model is wrong.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Backend = Literal["auto", "fft", "fused", "merged", "reference"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)


@dataclass(frozen=True)
class Rates:
    """Nanoseconds per element of the operations that transforms and dense updates consist of.

    transform: an element of a token's transform of length p, times log2 2p, element-wise work included
    product: a complex product of two spectra of a token, of which there are q1 q2 p
    build: an entry of the dense update added to the weight, of several circulants an entry of each
    build_large: the same in matrices of more than `LARGE` entries
    gradient: an entry of the dense gradient turned into gradients of the vectors
    multiply: a multiplication and addition in a matrix product
    """

    transform: float
    product: float
    build: float
    build_large: float
    gradient: float
    multiply: float


LARGE = 1 << 23
"""Entries of 32 MB: larger blocks the C library takes from the system afresh, page by page, every time."""

MEASURED = {
    "native": Rates(transform=0.035, product=0.065, build=0.3, build_large=1.8, gradient=8, multiply=0.012),
    "chunked": Rates(transform=0.11, product=0.22, build=0.5, build_large=2, gradient=8, multiply=0.012),
}
"""The rates on the CPU, by engine."""

ESTIMATED = {
    "chunked": Rates(
        transform=1e-3, product=2e-3, build=2e-2, build_large=2e-2, gradient=0.2, multiply=3.3e-6
    ),
    "fused": Rates(transform=1e-4, product=0, build=2e-2, build_large=2e-2, gradient=0.2, multiply=3.3e-6),
}
"""The rates on a GPU with tensor cores, by engine. Not measured: from an H100's published rates.

A linear layer of width 768 on 8,192 tokens takes about 32 us forward and backward in bfloat16, unfused
transforms 7 times as long; a fused transform moves its data once at 2.85 TB/s, or multiplies at 270 TFLOP/s
in fp16.

Launches are not counted. `calibration.calibrate` measures the layers of a model, `make gpu` many layers.
"""


@dataclass(frozen=True)
class Plan:
    """Whether the forward pass and the factors' gradients use a dense update instead of transforms."""

    merged_forward: bool
    merged_gradients: bool


PLANS = {
    "transforms": Plan(merged_forward=False, merged_gradients=False),
    "merged forward": Plan(merged_forward=True, merged_gradients=False),
    "merged": Plan(merged_forward=True, merged_gradients=True),
    "merged gradients": Plan(merged_forward=False, merged_gradients=True),
}
"""All plans by name."""


@functools.lru_cache(maxsize=1024)
def choose_plan(
    circulants: tuple[Sequence[int], ...],
    sizes: tuple[int, ...],
    *,
    tokens: int,
    separate: bool,
    engine: str,
    device: str,
) -> Plan:
    """Return the cheaper of transforms and dense update for each pass.

    Args:
        circulants: q1, q2, p of each
        sizes: lengths of the m diagonals: d_in, then d_out
        tokens: rows of the input
        separate: whether the update is computed by itself, so that a dense one needs products of its own
        engine: "native", "fused" or "chunked"
        device: torch's name of the device's type
    """
    if device == "mps":  # torch's complex numbers are slow there, matrix products fast
        return Plan(merged_forward=True, merged_gradients=True)
    rates = (MEASURED if device == "cpu" else ESTIMATED)[engine]
    elements = gradient_elements = products = 0.0
    for q1, q2, p in circulants:
        transform = p * math.log2(2 * p)
        if engine == "fused":  # spectra stay in registers, so that blocks do not share transforms
            elements += (q1 * q2 + q1) * transform
            gradient_elements += (4 * q1 * q2 + q1 + q2) * transform
        else:
            elements += (q1 + q2) * transform
            gradient_elements += 2 * (q1 + q2) * transform
            products += q1 * q2 * p
    entries = sizes[-1] * sizes[0]
    entry = rates.build if entries <= LARGE else rates.build_large
    build = entries * (entry + (len(circulants) - 1) * (entry + sizes[-1] * rates.multiply))
    forward = tokens * (elements * rates.transform + products * rates.product)
    backward = tokens * (gradient_elements * rates.transform + 3 * products * rates.product)
    dense_gradients = tokens * entries * rates.multiply + entries * rates.gradient + 2 * build
    own_product = tokens * entries * rates.multiply * separate
    return Plan(
        merged_forward=build + own_product < forward,
        merged_gradients=dense_gradients + own_product < backward,
    )
