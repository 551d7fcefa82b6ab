"""What a circulant is: one column that slides."""

from cdvft_app.ui.learn.lesson_texts.lesson import Estimate, Lesson, RealLayer, Task

CIRCULANT = Lesson(
    "circulant",
    "One column",
    "assembly",
    r"""
Copied to the right, one place lower each time, the column $c$ fills a **circulant** matrix,
$\mathrm{circ}(c)$. What falls off below comes in above.
""",
    (
        Task(
            "circulant-shift",
            "Drag c until the product is x moved two places down.",
            "A circulant adds up shifted copies of x; a single number of c makes a shift.",
            "A single number of c moves x: c[2] = 1 by two places.",
            "Only c[2] = 1 is left, and it moves x by two places. Any other c[k] would add a copy of x, "
            "moved by k places and multiplied by c[k].",
        ),
        Estimate(
            "circulant-entry",
            "One number of c changes. How many of the 64 entries change?",
            "A circulant has d numbers, each on a whole wrapped diagonal: no entry is free.",
            "Each number of c fills 8 of the 64 entries, one in each column.",
            "entries",
            0,
            64,
            1,
            8,
            "Each number appears once in every column, along a diagonal that wraps around the edges.",
        ),
    ),
    r"""
Each row holds all of $c$, too: 8 numbers fill 64 places. A layer of $768 \times 768$ has 589,824 places,
and one circulant fills them with 768 numbers. CDVFT, the method of this studio,
puts a diagonal before and after it.
""",
    RealLayer("cdvft", "vectors", "the circulant of a trained layer, as one vector"),
    (
        "What does a circulant do to a vector?",
        "How many numbers define a circulant?",
        "Which entries change when one number of c does?",
    ),
)
