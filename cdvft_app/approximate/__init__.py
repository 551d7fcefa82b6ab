"""Fit a given matrix with circulant-diagonal products, low rank, or block circulants.

    for fit in fit_circulant_diagonal(make_target("smooth_kernel", 64), most_m=3):
        print(fit.size, fit.parameters, fit.error)

Everything is float64 on the CPU, and targets are at most 256 x 256.
"""

from cdvft_app.approximate.circulant_diagonal import fit_circulant_diagonal
from cdvft_app.approximate.closed_form import fit_block_circulant, fit_low_rank
from cdvft_app.approximate.fit import LARGEST, Fit
from cdvft_app.approximate.targets import TARGETS, Target, make_target

__all__ = [
    "LARGEST",
    "TARGETS",
    "Fit",
    "Target",
    "fit_block_circulant",
    "fit_circulant_diagonal",
    "fit_low_rank",
    "make_target",
]
