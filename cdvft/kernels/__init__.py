"""Applying W + alpha dW to a batch, exactly, saving nothing but the input for backward.

`linear` has the functions to call; `selection` chooses among the implementations, by `timings` of this
machine where `calibration` took them, else by `rule`; `passes` carries it out, forward and backward;
`survival` tells whether half precision may add the update to the weight; `explanation` says what serves, and
why:

    native     transforms of a few tokens at a time, by a C library
    fused      the same in one Triton kernel, on CUDA devices
    chunked    the same with torch's own transforms, on any device
    merged     the dense update as scratch
    many       another adapter in every row of a batch
    reference  plain torch operations and autograd, in `passes`: slow, for tests of the others
"""

from cdvft.kernels.calibration import calibrate
from cdvft.kernels.explanation import Explanation, explain
from cdvft.kernels.linear import adapted_linear, cd_linear, cd_linear_reference
from cdvft.kernels.passes import autocast_dtype, is_autocast_on
from cdvft.kernels.rule import BACKENDS, Backend

__all__ = [
    "BACKENDS",
    "Backend",
    "Explanation",
    "adapted_linear",
    "autocast_dtype",
    "calibrate",
    "cd_linear",
    "cd_linear_reference",
    "explain",
    "is_autocast_on",
]
