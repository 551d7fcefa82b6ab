"""What a circulant is, why it is cheap, and what two diagonals add."""

from cdvft_app.ui.learn.lesson_texts.lesson import Lesson, Question, RealLayer

SHIFT = Lesson(
    "1",
    "One column, shifted",
    "shift",
    r"""
Fine-tuning changes a weight matrix $W$ by some $\Delta W$. A matrix of size $d \times d$ has $d^2$
entries, and training them all is expensive. So we look for matrices that are made of few numbers.

A **circulant** is made of $d$: its first column $c$. Each next column is the one before, moved down one
place, and what drops out at the bottom comes back at the top. It is a shift register:

$$\mathrm{circ}(c)_{ij} = c_{(i-j) \bmod d}$$

**Drag the bars of $c$.** Every number fills one whole diagonal, which goes on around the edge.
""",
    Question(
        "In many language models d = 768. How many different numbers does a 768 × 768 circulant hold?",
        (
            ("768", "768 numbers fill 589,824 entries: each is used 768 times."),
            (
                "1,536",
                "That would be two vectors. Count the bars: one number for each row, and nothing else.",
            ),
            ("589,824", "So many entries it has. But most repeat: count the bars, not the squares."),
        ),
        0,
    ),
    RealLayer("cdvft", "the column c₂ that training found, and its circulant"),
)

CONVOLUTION = Lesson(
    "2",
    "The FFT makes it cheap",
    "convolution",
    r"""
Multiplying by a circulant slides $c$ along $x$, multiplies and adds: a **circular convolution**. Here
$c$ is a bell, so the product is $x$ smoothed. Row by row that costs $d^2$ multiplications.

The fast Fourier transform (FFT) writes a vector as a sum of waves, in about $d \log_2 d$ steps. Why
waves? A circulant adds up shifted copies of $x$, and a shifted wave is the same wave, moved along. So it
cannot mix waves: it only makes each one larger or smaller, and moves it. In the basis of waves it is a
**diagonal** matrix, and the numbers $\mathrm{FFT}(c)$ are its eigenvalues. Hence

$$\mathrm{circ}(c)\,x = \mathrm{IFFT}\big(\mathrm{FFT}(c) \odot \mathrm{FFT}(x)\big)$$

where $\odot$ multiplies number by number and IFFT goes back.

**Drag $d$,** and see how the two ways part.
""",
    Question(
        "A vector becomes 16 times as long, 4,096 instead of 256. How much more work is the product by FFT?",
        (
            ("256 times", "That is row by row, where work grows as d². By FFT it grows as d log₂ d."),
            ("About 24 times", "16 times the length, and log₂ d grows from 8 to 12: 16 × 12 / 8 = 24."),
            ("16 times", "The length gives 16, but log₂ d grows too, from 8 to 12."),
        ),
        1,
    ),
    RealLayer("cdvft", "one token on its way through FFT, product and inverse FFT"),
)

SYMMETRY = Lesson(
    "3",
    "Two diagonals break the symmetry",
    "symmetry",
    r"""
A circulant treats every place alike: shift $x$ and the result shifts with it. A network is not like
that, feature 5 may matter and feature 6 not. A **diagonal** matrix says just that, by scaling each place
by a number of its own. CDVFT puts one before the circulant and one after it:

$$\Delta W = \mathrm{diag}(a_3)\;\mathrm{circ}(c_2)\;\mathrm{diag}(a_1)$$

so that an entry is $a_3[i]\;c_2[(i-j) \bmod d]\;a_1[j]$. These are $3d$ numbers in all. Nobody has to
write the matrix down: to apply it, scale $x$, multiply by the circulant with FFTs as before, and scale
again.

Its **rank** is full unless a number of $a_1$, of $a_3$ or of $\mathrm{FFT}(c_2)$ is zero: each of the
three factors can then be inverted, and so can their product. LoRA's $BA$ pays $2d$ numbers for every
single rank.

The **singular values** $\sigma_k$ say how much a matrix stretches each of $d$ perpendicular directions $v_k$
of length 1: $\Delta W = \sum_k \sigma_k\,u_k v_k^\top$. The rank counts those above zero.

**Drag** the diagonals away from 1.
""",
    Question(
        "Why can 3d numbers give a change of full rank?",
        (
            (
                "Because the three factors are large enough to hold every matrix",
                "They are not: 3d numbers cannot describe all d² entries. Full rank is not full freedom.",
            ),
            (
                "Because a product of invertible matrices is invertible, however few numbers they hold",
                "Rank counts independent directions, not stored numbers. A diagonal or a circulant "
                "without a zero eigenvalue touches all d directions.",
            ),
            (
                "Because training adds more numbers",
                "Training changes the 3d numbers; it adds none.",
            ),
        ),
        1,
    ),
    RealLayer("cdvft", "both diagonals, the circulant, and the singular values of their product"),
)
