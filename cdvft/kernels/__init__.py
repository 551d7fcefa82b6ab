"""Applying W + alpha dW to a batch, exactly, saving nothing but the input for backward.

`linear` has the functions to call and `autograd_ops` the forward and backward passes that they run.
`engine_choice` chooses the engine and plan: by times on this machine where `calibration` measured them, else
by `cost_model`, among `allowed_engines`. `merge_precision` decides whether an update may be added to a weight
of half precision. The engines:

    native            transforms of a few tokens at a time, by a C library
    fused             the same in one Triton kernel, on CUDA devices
    chunked           the same with torch's own transforms, on any device
    merged            the dense update as a temporary matrix
    batched_adapters  a different adapter for each row of a batch
    reference         plain torch operations and autograd, in `autograd_ops`: slow, to test the others
"""

from cdvft.kernels.autograd_ops import autocast_dtype, is_autocast_on, without_autocast
from cdvft.kernels.calibration import calibrate
from cdvft.kernels.cost_model import BACKENDS, Backend
from cdvft.kernels.linear import adapted_linear, cd_linear, cd_linear_reference

__all__ = [
    "BACKENDS",
    "Backend",
    "adapted_linear",
    "autocast_dtype",
    "calibrate",
    "cd_linear",
    "cd_linear_reference",
    "is_autocast_on",
    "without_autocast",
]
