"""What the page is called, and the method in a formula."""

from __future__ import annotations

PAPER = "https://arxiv.org/abs/2505.00580"
TITLE = "CDVFT Studio"
TAGLINE = "Fine-tune models, compare methods"
METHOD = r"""$\Delta W = \mathrm{diag}(a_3)\,\mathrm{circ}(c_2)\,\mathrm{diag}(a_1)$ for $m = 2$, and
$h = Wx + \alpha\,\Delta W x$. The product with $\mathrm{circ}(c)$ is an FFT,
so $\Delta W$ need not be built."""
