"""What a circulant is: one column that slides."""

from cdvft_app.ui.learn.lesson_texts.lesson import Estimate, Lesson, RealLayer, Task

CIRCULANT = Lesson(
    "circulant",
    "One column",
    "assembly",
    r"""
It slides right, one place down at each step, and becomes a **circulant** matrix, $\mathrm{circ}(c)$.
""",
    (
        Task(
            "circulant-shift",
            "Drag c until the product is x, moved two places down.",
            "A circulant adds up shifted copies of x; one number of c alone makes a shift.",
            "One number of c alone moves x: c[2] = 1 by two places.",
            "One number is left, c[2] = 1: it alone moves x by two places. Others add copies, moved "
            "by theirs.",
        ),
        Estimate(
            "circulant-entry",
            "One number of c changes. How many of the 64 entries change?",
            "A circulant has d numbers, each on a whole wrapped diagonal: no entry is free.",
            "Each number of c stands in 8 of the 64 entries, once in each column.",
            "entries",
            0,
            64,
            1,
            8,
            "Each number stands once in every column, along a diagonal that goes around the edges.",
        ),
    ),
    r"""
Each row, too, holds all of $c$: 8 numbers fill 64 places. A layer of $768 \times 768$ has 589,824 places,
and one circulant fills them with 768 numbers. CDVFT puts a diagonal before and after it.
""",
    RealLayer("cdvft", "vectors", "the circulant of a trained layer, as one vector"),
    (
        "What does a circulant do to a vector?",
        "How many numbers hold a whole circulant?",
        "Which entries change with one number of c?",
    ),
)
