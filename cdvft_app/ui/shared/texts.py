"""Labels and hints of the Train tab's settings: one plain sentence for each."""

from __future__ import annotations

PAPER = "https://arxiv.org/abs/2505.00580"
TITLE = "CDVFT Studio"
TAGLINE = "Fine-tune models, compare methods"


def counted(number: float, noun: str) -> str:
    """1 step, 2 steps, 1.5 epochs."""
    return f"{number:g} {noun}{'' if number == 1 else 's'}"


METHOD = r"""$\Delta W = \mathrm{diag}(a_3)\,\mathrm{circ}(c_2)\,\mathrm{diag}(a_1)$ for $m = 2$, and
$h = Wx + \alpha\,\Delta W x$. The product with $\mathrm{circ}(c)$ is an FFT,
so $\Delta W$ need not be built."""
