"""How far longer products, blocks and other methods reach."""

from cdvft_app.ui.learn.lesson_texts.lesson import Lesson, Question, RealLayer

REACH = Lesson(
    "reach",
    "Why more factors",
    "reach",
    r"""
Full rank is not everything: most matrices are no product of this form. Longer products, of $m$ diagonals
around $m - 1$ circulants, reach more of them:

$$\begin{aligned} \Delta W = {} & \mathrm{diag}(a_{2m-1})\,\mathrm{circ}(c_{2m-2}) \cdots \\
& \cdots \mathrm{circ}(c_2)\,\mathrm{diag}(a_1) \end{aligned}$$
""",
    (
        Question(
            "reach",
            "What does m = 2 give you?",
            (
                (
                    "Every matrix, only less exactly",
                    "Almost no matrix is such a product: for Random, the search with m = 2 found "
                    "nothing near.",
                ),
                (
                    "Only matrices of low rank",
                    "They are mostly of full rank. But every matrix of rank 1 is among them: let c be "
                    "all ones.",
                ),
                (
                    "A thin set of matrices, mostly of full rank",
                    "3n − 2 dimensions out of n². Whether a task needs just those, experiments must tell.",
                ),
            ),
            2,
            "Counting dimensions says what is too few, and not what a task needs.",
        ),
    ),
    r"""
Huhtanen and Perämäki (2015) proved that $2n - 1$ such factors, $m = n$, are enough for a generic complex
$n \times n$ matrix. Counting tells what is too few: $m$ factors fill at most $(2m-1)(n-1)+1$ dimensions
of $n^2$. For the small $m$ that one trains, **we know of no useful bound on the error**. So it has to be
measured.

LoRA is exact as soon as its $r$ reaches a target's rank, with $2rn$ numbers: Low rank, of rank 4, with $8n$.
For the permutation the search ends 45 % off with $m = 5$, and finds it with $m = 8$. Where a search ends far
off, something closer may still be there.
""",
    RealLayer("cdvft", "ranks", "the singular values of a trained ΔW, beside those of other methods"),
    ("4",),
)

BLOCKS = Lesson(
    "blocks",
    "Rectangles: blocks of side p",
    "blocks",
    r"""
Most layers are not square, and one circulant may say too little. So CDVFT cuts the $d_{out} \times
d_{in}$ layer into $p \times p$ blocks, each a circulant of its own, $q_1 = \lceil d_{out}/p \rceil$ rows
of $q_2 = \lceil d_{in}/p \rceil$. The two diagonals stand before and after it, as ever.
""",
    (
        Question(
            "blocks",
            "p is halved, in a layer where both sides divide. What happens to the numbers in the blocks?",
            (
                ("They double", "Four times as many blocks, each with half the numbers: q₁ q₂ p doubles."),
                ("They stay the same", "Each block holds half as much, but there are four times as many."),
                (
                    "They become four times as many",
                    "So do the blocks. But each new block holds only half as much.",
                ),
            ),
            0,
            "The numbers in the blocks are q₁ q₂ p: halving p doubles them.",
        ),
    ),
    r"""
With $m = 2$ this trains

$$d_{in} + d_{out} + q_1\,q_2\,p$$

numbers. A small $p$ holds more of them and costs more; at $p = 1$ every entry would be free. Each output
block adds up those of its row:

$$h_i = \sum_j \mathrm{IFFT}\big(\mathrm{FFT}(c_{ij}) \odot \mathrm{FFT}(x_j)\big)$$

Where $p$ does not divide, the last blocks hang over the edge: the input is padded with zeros and the output
cut. **Drag $p$** to one that does not, such as 28.
""",
    RealLayer("blocks", "vectors", "the circulant blocks of a layer that is not square"),
    ("5",),
)

SHAPES = Lesson(
    "shapes",
    "Four shapes of change",
    "shapes",
    r"""
Give methods the same number of trained numbers, and look at what they can say with it.

- **LoRA**, $\Delta W = BA$: full freedom in a few directions, nothing outside. Rank $r$.
- **CDVFT**: circulant blocks whose rows and columns each have a scale.
""",
    (
        Question(
            "shapes",
            "You have 96 numbers for a 32 × 32 layer. What does CDVFT have that LoRA does not?",
            (
                (
                    "Every 32 × 32 matrix",
                    "96 numbers cannot give all 1,024 entries independently. No method can.",
                ),
                (
                    "A smaller error on any task",
                    "No smaller one where the change has rank 1: both reach it. LoRA, with r = 1 here, comes "
                    "closer nowhere, but with more numbers it is exact once r reaches the rank.",
                ),
                (
                    "Full rank, at the price of a fixed pattern",
                    "LoRA spends 64 on each rank. CDVFT touches all 32 directions, in circulant patterns. So "
                    "do C3A and FourierFT: full rank is no privilege of CDVFT.",
                ),
            ),
            2,
            "Equal numbers buy different things: rank for CDVFT and C3A, exactness at low rank for LoRA.",
        ),
    ),
    r"""
- **FourierFT**: a sum of $n$ plane waves, each spread over the whole matrix.
- **C3A**: circulant blocks without diagonals, the same pattern all along a diagonal. Drawn at random, it
  spreads a change over more directions with 64 numbers than CDVFT with 96: its effective rank is higher.

Which one fits depends on the change that a task needs. Equal budgets are not equal cost either: LoRA, C3A
and CDVFT work on the vector $x$, FourierFT makes a $d \times d$ matrix every step.
""",
    RealLayer("lora", "ranks", "the same layer changed by LoRA, FourierFT, C3A and CDVFT, in numbers"),
    ("8",),
)
