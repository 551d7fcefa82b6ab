"""Why a circulant is cheap."""

from cdvft_app.ui.learn.lesson_texts.lesson import Lesson, Question, RealLayer

FFT = Lesson(
    "fft",
    "Multiply by hand, twice",
    "products",
    r"""
Row by row, $\mathrm{circ}(c)\,x$ takes $d$ multiplications for each of $d$ rows. The other way writes $x$ as
a sum of waves, scales each, and goes back:

$$\mathrm{circ}(c)\,x = \mathrm{IFFT}\big(\mathrm{FFT}(c) \odot \mathrm{FFT}(x)\big)$$

where $\odot$ multiplies number by number, and $\mathrm{FFT}(c)$ is known.
""",
    (
        Question(
            "fft-eight",
            "For 8 numbers row by row takes 64 multiplications. How many does the other way take?",
            (
                ("8", "One a wave is too few: a pair of waves has a size and a place, and takes four."),
                ("18", "2 for the FFT of x, 14 to scale its waves, and 2 for the way back."),
                ("64", "That is row by row. The FFT of 8 numbers takes 2, and so does the way back."),
            ),
            1,
            "The FFT is not only asymptotically cheaper: at 8 numbers one can count it by hand.",
        ),
        Question(
            "fft",
            "A vector becomes 16 times as long, 4,096 instead of 256. How much more work is the product by "
            "FFT?",
            (
                ("256 times", "That is row by row, where work grows as d². By FFT it grows as d log₂ d."),
                ("About 24 times", "16 times the length, and log₂ d grows from 8 to 12: 16 × 12 / 8 = 24."),
                ("16 times", "The length gives 16, but log₂ d grows too, from 8 to 12."),
            ),
            1,
            "Work by FFT grows as d log d, not as d squared.",
        ),
    ),
    r"""
Why waves? A circulant adds up shifted copies of $x$, and a shifted wave is the same wave, moved along. So it
cannot mix waves: it only makes each one larger or smaller, and moves it. In the basis of waves it is a
**diagonal** matrix, and the numbers $\mathrm{FFT}(c)$ are its eigenvalues. A fast Fourier transform takes
about $d \log_2 d$ steps.
""",
    RealLayer("cdvft", "forward", "one token on its way through FFT, product and inverse FFT"),
    ("2",),
)
