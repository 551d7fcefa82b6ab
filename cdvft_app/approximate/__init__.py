"""Fit a given matrix: circulant-diagonal products beside low rank, Fourier entries and block circulants.

    for fit in fit_circulant_diagonal(make_target("smooth_kernel", 64), most_m=3):
        print(fit.size, fit.parameters, fit.error)

Everything is float64 on the CPU, and targets are at most 256 x 256.
"""

from cdvft_app.approximate.circulant_diagonal import fit_circulant_diagonal
from cdvft_app.approximate.closed_form import (
    fit_block_circulant,
    fit_fourierft,
    fit_low_rank,
)
from cdvft_app.approximate.diagonal_blocks import block_sizes, fit_diagonal_blocks
from cdvft_app.approximate.fit import LARGEST, Fit
from cdvft_app.approximate.targets import TARGETS, Target, make_target

__all__ = [
    "LARGEST",
    "TARGETS",
    "Fit",
    "Target",
    "block_sizes",
    "fit_block_circulant",
    "fit_circulant_diagonal",
    "fit_diagonal_blocks",
    "fit_fourierft",
    "fit_low_rank",
    "make_target",
]
