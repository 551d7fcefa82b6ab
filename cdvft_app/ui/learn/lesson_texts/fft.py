"""Why a circulant is cheap."""

from cdvft_app.ui.learn.lesson_texts.lesson import Choice, Lesson, RealLayer, Task

FFT = Lesson(
    "fft",
    "Multiply by waves",
    "products",
    r"""
A circulant adds up shifted copies of $x$, and a shifted wave is the same wave, moved along. So it cannot mix
waves: it scales each by a number of $\mathrm{FFT}(c)$, and moves it.
""",
    (
        Task(
            "fft-one",
            "Drag the waves of c until c = (1, 0, …, 0).",
            "A single entry holds all waves equally: its FFT is (1, 1, …, 1).",
            "FFT(1, 0, …, 0) = (1, 1, …, 1): each wave comes out as it went in.",
            "All values of FFT(c) are 1: every wave comes out as it went in, and circ(c) x is x.",
        ),
        Choice(
            "fft",
            "A vector becomes 16 times as long, 4,096 instead of 256. How much more work is the product by "
            "FFT?",
            "Work by FFT grows as d log d, not as d squared.",
            "16 times the length is 256 times the work row by row, as d², and about 24 times by FFT, as "
            "d log d.",
            (
                ("256 times", "That is row by row, where work grows as d². By FFT it grows as d log₂ d."),
                ("About 24 times", "16 times the length, and log₂ d grows from 8 to 12: 16 × 12 / 8 = 24."),
                ("16 times", "The length gives 16, but log₂ d grows too, from 8 to 12."),
            ),
            1,
        ),
    ),
    r"""
$$\mathrm{circ}(c)\,x = \mathrm{IFFT}\big(\mathrm{FFT}(c) \odot \mathrm{FFT}(x)\big)$$

where $\odot$ multiplies number by number, and $\mathrm{FFT}(c)$ is known. In the basis of waves a circulant
is a **diagonal** matrix, and the numbers $\mathrm{FFT}(c)$ are its eigenvalues.

**Why $d \log d$?** Row by row takes $d$ multiplications for each of $d$ rows: twice the length, four times
the work. A fast Fourier transform of an even number $d$ of values is two of $d/2$, and about $d$ steps
that join them, sums and products: twice the length, twice the work and one more round. For $d$ a power of
two that makes $\log_2 d$ rounds.

**Where does the FFT win?** Fewer FLOPs do not always take less time, because processors are fastest at
matrix products. *Measure* shows the length from which the FFT is faster on this server.
""",
    RealLayer("cdvft", "forward", "one token on its way through FFT, product and inverse FFT"),
    (
        "What is the FFT of (1, 0, …, 0)?",
        "Why does the work grow as d log d?",
        "From which length on does the FFT win?",
    ),
    ("2",),
)
