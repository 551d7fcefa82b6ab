"""Run where a wheel is installed: each library in it that this processor can run is loaded and is right.

Prints their places. No compiler is asked: what the wheel has not brought ends in an error.
"""

import os

import torch

from cdvft.kernels import cd_linear, cd_linear_reference
from cdvft.kernels.native import build, compiler

os.environ["PATH"], os.environ["CC"] = "", ""
here = torch.backends.cpu.get_cpu_capability()
brought = [name for name in compiler.INSTRUCTIONS if compiler.shipped(name)]
torch.manual_seed(0)
x = torch.randn(40, 96)
vectors = [torch.randn(96), torch.randn(96)], [torch.randn(1, 1, 96)]
for capability in [name for name in brought if name == compiler.PLAIN or name <= here]:  # AVX2 < AVX512
    torch.backends.cpu.get_cpu_capability = lambda found=capability: found
    build.library.cache_clear()
    update, right = cd_linear(x, *vectors, 1.0, "fft"), cd_linear_reference(x, *vectors, 1.0)
    # Of a row's norm: an FFT errs by that in every entry, the small ones too.
    assert ((update - right).norm(dim=-1) < 1e-6 * right.norm(dim=-1)).all()
    library = build.library()
    assert library is not None, "the wheel's library does not load"
    print(library._name)
assert brought, "this wheel has brought no library"
