"""How far a token's update is off where one of its channels is an outlier, by engine and dtype of the input.

    TRITON_INTERPRET=1 python -m benchmarks.outliers

Norm of the error over norm of the update, the largest of 8 tokens of width 768, against the method in float64
of the same inputs. "fused" runs in Triton's interpreter, which that variable turns on. "dense" is what a
matrix of the update would give: rounded to the dtype, multiplied in it. No transform keeps the error of every
entry small beside the entry itself: the outlier's rounding spreads over all.
Writes benchmarks/results/outliers.md.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from benchmarks.tables import table
from cdvft.circulant import Factors, cd_product
from cdvft.kernels import cd_linear, fused
from cdvft.kernels.cost_model import PLANS
from cdvft.kernels.engine_choice import Selection

RESULT = Path(__file__).parent / "results" / "outliers.md"
WIDTH, TOKENS = 768, 8
OUTLIERS = (1.0, 1e2, 1e4)
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
ENGINES = ("reference", "chunked", "native", "fused", "dense")


def update(engine: str, x: Tensor, first: Tensor, c: Tensor, last: Tensor) -> Tensor:
    """The update by an engine, with vectors in float32."""
    if engine == "dense":
        return x @ cd_product([first, last], [c]).T.to(x.dtype)
    if engine == "fused":
        return fused.update(x, Factors([first, last], [c], 1.0))
    backend = engine if engine == "reference" else Selection(engine, PLANS["transforms"])
    return cd_linear(x, [first, last], [c], 1.0, backend)  # type: ignore[arg-type]


def off(engine: str, dtype: torch.dtype, outlier: float) -> float:
    torch.manual_seed(0)
    x = torch.randn(TOKENS, WIDTH)
    x[:, 5] = outlier
    first, last, c = torch.randn(WIDTH), torch.randn(WIDTH), torch.randn(1, 1, WIDTH) / WIDTH**0.5
    x = x.to(dtype)
    truth = x.double() @ cd_product([first.double(), last.double()], [c.double()]).T
    found = update(engine, x, first, c, last).double()
    return float(((found - truth).norm(dim=1) / truth.norm(dim=1)).max())


def main() -> None:
    rows = [
        [engine, str(dtype).removeprefix("torch."), *(f"{off(engine, dtype, o):.1e}" for o in OUTLIERS)]
        for dtype in DTYPES
        for engine in ENGINES
    ]
    text = "\n".join(table(["engine", "input", *(f"outlier {o:,.0f}" for o in OUTLIERS)], rows))
    RESULT.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
