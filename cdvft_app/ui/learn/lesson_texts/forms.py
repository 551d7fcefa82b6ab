"""How far longer products, blocks and other methods reach."""

from cdvft_app.ui.learn.lesson_texts.lesson import Choice, Estimate, Lesson, RealLayer

REACH = Lesson(
    "reach",
    "Why more factors",
    "reach",
    r"""
Most matrices are not a product of this form. Longer products, of $m$ diagonals around $m - 1$ circulants,
reach more of them.
""",
    (
        Estimate(
            "reach-random",
            "Random, m = 2: how far off is the best product found?",
            "Three vectors come near few matrices: full rank is not full freedom.",
            "This random matrix, m = 2: 30 numbers leave 63 %; LoRA leaves 84 % with 20, 66 % with 40.",
            "error, %",
            0,
            100,
            20,
            63,
            "LoRA, whose change is BA with r columns in B and r rows in A, ends 84 % off with r = 1. It "
            "takes 2n numbers, and CDVFT 3n.",
            off=10,
        ),
        Choice(
            "reach",
            "What does m = 2 give you?",
            "Counting dimensions says what is too few, not what a task needs.",
            "m = 2 gives a thin set of matrices, of 3n − 2 dimensions, mostly of full rank.",
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
                    "3n − 2 dimensions out of n². Only experiments can tell whether a task needs just those.",
                ),
            ),
            2,
        ),
    ),
    r"""
$$\begin{aligned} \Delta W = {} & \mathrm{diag}(a_{2m-1})\,\mathrm{circ}(c_{2m-2}) \cdots \\
& \cdots \mathrm{circ}(c_2)\,\mathrm{diag}(a_1) \end{aligned}$$

Huhtanen and Perämäki (2015) proved that $2n - 1$ such factors, $m = n$, are enough for a generic complex
$n \times n$ matrix. Counting tells what is too few: $2m-1$ factors fill at most $(2m-1)(n-1)+1$
dimensions of $n^2$: each further one brings $n$ numbers, and a scale can be moved from one to another.
To a complex matrix of rank $k$, where $k$ divides $n$, $4k + 1$ factors come as close as one likes (Araujo
and others, 2020). For fewer, **we know of no useful bound on the error**. So it has to be measured.

LoRA's numbers are multiples of $2n$, and CDVFT's are odd multiples of $n$: at each $m$ LoRA has $n$ fewer,
or, with one more rank, $n$ more. LoRA is exact as soon as its $r$ reaches a target's rank: for Low rank, of
rank 4, with $8n$.
For Low rank the search ends 0.1 % off with $m = 5$, 0.01 % with $m = 6$, and is exact with $m = 7$; for the
permutation it ends 45 % off with $m = 5$, and is exact with $m = 8$. From $m = 6$ on that is no
gain: the factors hold 110 numbers and more, the matrix 100. Where a search ends far off, something closer
may still exist.
""",
    RealLayer("cdvft", "ranks", "the singular values of a trained ΔW, beside those of other methods"),
    (
        "Why does a further factor add n − 1 dimensions, and not n?",
        "How near does LoRA come with as many numbers?",
        "Which m is exact for a target of rank 4?",
    ),
    ("4",),
)

BLOCKS = Lesson(
    "blocks",
    "Rectangles: blocks of side p",
    "blocks",
    r"""
Many layers are not square. CDVFT cuts them into $p \times p$ blocks, each a circulant of its own. One
diagonal stands before them, the other after. **Drag $p$.**
""",
    (
        Estimate(
            "blocks",
            "p goes from 16 to 8. The blocks held 192 numbers. How many now?",
            "The numbers in the blocks are q₁ q₂ p: halving p doubles them.",
            "Half the side p means four times as many blocks, and twice the numbers.",
            "numbers in the blocks",
            0,
            768,
            192,
            384,
            "Four times as many blocks, each with half the numbers: twice as many in all.",
            step=48,
        ),
    ),
    r"""
The $d_{out} \times d_{in}$ layer has $q_1 = \lceil d_{out}/p \rceil$ rows of $q_2 = \lceil d_{in}/p \rceil$
blocks. With $m = 2$ this trains

$$d_{in} + d_{out} + q_1\,q_2\,p$$

numbers. A small $p$ holds more of them and costs more; at $p = 1$ every entry would be free. Each output
block adds up those of its row:

$$h_i = \sum_j \mathrm{IFFT}\big(\mathrm{FFT}(c_{ij}) \odot \mathrm{FFT}(x_j)\big)$$

Where $p$ does not divide a side, the last blocks hang over the edge: the input is padded with zeros and the
output cut, as with $p = 28$ here.

**From 384 to 1,536** with $p = 384$ takes 3,456 numbers: 1,920 on the diagonals and four blocks of 384. LoRA
with $r = 8$, $8 \times 384$ and $1536 \times 8$, takes 15,360.

**A small $p$ is slow.** The FFT of $p$ real numbers, $p$ even, has $p/2 + 1$ values of its own, so the
blocks take $q_1 q_2 (p/2 + 1)$ products. Half the $p$ means four times as many blocks, with about half the
products in each: about twice the products. With $p = 3$, each of them counted as one of complex numbers,
that layer takes nine tenths of the work of the whole matrix.

**The diagonals** give each row and each column a scale of its own, for $d_{in} + d_{out}$ numbers. Blocks
alone cannot, unless $p = 1$.
""",
    RealLayer("blocks", "vectors", "the circulant blocks of a layer that is not square"),
    (
        "What does a layer from 384 to 1,536 cost?",
        "Why is a small p slow?",
        "What do the diagonals buy?",
    ),
    ("5",),
)

SHAPES = Lesson(
    "shapes",
    "Four shapes of change",
    "shapes",
    r"""
Four methods make a change $\Delta W$ of a layer. Give each at most 96 trained numbers, and see what it can
express with them.
""",
    (
        Estimate(
            "shapes-rank",
            "96 numbers for a 32 × 32 layer. What is the rank of CDVFT's change?",
            "Rank does not follow from the number of trained numbers.",
            "96 numbers of CDVFT have rank 32, and 64 of LoRA rank 1.",
            "rank",
            0,
            32,
            3,
            32,
            "LoRA spends 64 on each rank. CDVFT touches all 32 directions, in circulant patterns.",
        ),
        Choice(
            "shapes-fit",
            "A change is a circulant whose rows and columns have scales of their own. Which of these fits "
            "it with 96 numbers?",
            "A form fits where the change has its pattern: no method fits all.",
            "The diagonals buy a scale for each row and column, so this change is fitted exactly.",
            (
                ("LoRA", "With 96 numbers it has rank 1, and this change has full rank."),
                ("C3A", "Its blocks have no scales for rows and columns: most of the change is left."),
                ("CDVFT", "It is of this very form, and nothing is left."),
            ),
            2,
        ),
        Choice(
            "shapes",
            "What do these 96 numbers buy that LoRA's do not?",
            "Equal numbers buy different things: rank for CDVFT and C3A, exactness at low rank for LoRA.",
            "CDVFT: full rank in a fixed pattern. LoRA: few directions, each of them free.",
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
                    "C3A and FourierFT buy it, too: full rank is not CDVFT's alone.",
                ),
            ),
            2,
        ),
    ),
    r"""
- **LoRA**, $\Delta W = BA$: full freedom in a few directions, nothing outside. Rank at most $r$.
- **CDVFT**: circulant blocks whose rows and columns each have a scale. The diagonals buy those scales: a
  circulant scaled by them is fitted exactly, where blocks alone leave most of it.
- **FourierFT**: a sum of $n$ plane waves, each a cosine spread over the whole matrix. Which ones is drawn at
  random before training, and of a wave that was not drawn, or of a sine, nothing can be fitted.
- **C3A**, circular convolution: circulant blocks without diagonals, the same pattern all along a diagonal.
  A circulant costs it 32 numbers. Drawn at random, 64 of its numbers spread a change over more directions
  than 96 of CDVFT: its effective rank is higher.

Which one fits depends on the change that a task needs. Equal budgets are not equal cost either: LoRA, C3A
and CDVFT can do with the vector $x$, FourierFT builds a $d \times d$ matrix every step.
""",
    RealLayer("lora", "ranks", "the same layer changed by LoRA, FourierFT, C3A and CDVFT, in numbers"),
    (
        "Whose spectrum is the most even?",
        "What do the diagonals buy?",
        "Who fits a given change?",
    ),
    ("8",),
)
