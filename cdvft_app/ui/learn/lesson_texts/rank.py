"""The rank machine: what three vectors make, and what takes rank away."""

from cdvft_app.ui.learn.lesson_texts.lesson import Choice, Estimate, Lesson, RealLayer

RANKS = "rank", 0, 8, 4  # what is set, on which scale, where it stands at first

RANK = Lesson(
    "rank",
    "The rank machine",
    "rank",
    r"""
Fine-tuning adds a change, $\Delta W$, to a layer's weights. Three vectors make this one. Its **rank** counts
the independent directions in what comes out.
""",
    (
        Estimate(
            "rank-zero",
            "One number of a₁ becomes zero. Which rank do you expect?",
            "Each number of a diagonal scales one place; a zero there costs one direction.",
            "A zero in a₁ empties a column: rank 7.",
            *RANKS,
            7,
            "A zero in a₁ empties a column. The other seven are still independent.",
        ),
        Estimate(
            "rank-both",
            "That zero stays, and one number of a₃ becomes zero too. And now?",
            "Lost ranks do not add up: zeros at both ends can take the same direction.",
            "Zeros in a₁ and in a₃, one each, empty a column and a row: here still rank 7.",
            *RANKS,
            7,
            "A row and a column are empty, but the 7 × 7 matrix that is left has rank 7 here. Where c is "
            "(1, 0, …, 0) and the zeros stand at different places, it has rank 6.",
        ),
        Estimate(
            "rank-c",
            "Now no zero in a₁ or a₃, but one in c. Which rank?",
            "A zero in c is not a zero in FFT(c): it empties a diagonal, but no row or column.",
            "A zero in c empties a diagonal, but no value of FFT(c): rank 8.",
            *RANKS,
            8,
            "A diagonal is empty, but no value of FFT(c) is zero: all eight stay independent.",
        ),
        Estimate(
            "rank-pair",
            "c has no zero, but its wave with one turn is silenced. Which rank?",
            "The rank of a circulant is read off FFT(c), where waves of real vectors come in pairs.",
            "A silenced wave is two values of FFT(c): rank 6.",
            *RANKS,
            6,
            "c is real, so values 1 and 7 of FFT(c) go together. Only the constant and the alternating wave "
            "have one value each.",
        ),
        Estimate(
            "rank-pair-zero",
            "That wave stays silenced, and one number of a₁ becomes zero. Which rank?",
            "A zero in a diagonal takes nothing more where waves have taken it already.",
            "A silenced wave and a zero in a₁ together: rank 6, not 5.",
            *RANKS,
            6,
            "Seven columns are left, in a space of six directions, and they still fill it.",
        ),
        Choice(
            "rank-full",
            "Why can 3d numbers give a change of full rank?",
            "Rank is not freedom: few numbers can touch all directions in a fixed pattern.",
            "A product of invertible matrices is invertible, so 3d numbers give full rank.",
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
    ),
    r"""
$c$ fills the diagonals, which wrap around the edges; $a_1$ scales the columns, $a_3$ the rows.

$$\Delta W_{ij} = a_3[i]\;c[(i-j) \bmod 8]\;a_1[j]$$

**Waves.** $\mathrm{circ}(c)$ treats all places alike: a wave that goes in comes out as the same wave, scaled
and moved along by $\mathrm{FFT}(c)_k$. Where $a_1$ and $a_3$ have no zero, the rank is the number of values
of $\mathrm{FFT}(c)$ that are not zero. With zeros in all three it is at most the smallest of the three
counts. A zero in $c$ itself empties a diagonal, and need not change the rank.

**No single entry, in a circulant.** Each number of $c$ fills all 8 places of its diagonal. So two
circulants never differ in a single entry: they differ in 8, or in 16, and so on. Diagonals can do it: where
$a_1$ and $a_3$ have one nonzero number each, a single entry of the matrix is left.

**LoRA** trains $\Delta W = BA$, with $r$ columns in $B$ and $r$ rows in $A$: its rank is at most $r$.
With $c$ all ones the matrix here is $a_3 a_1^\top$. So every matrix of rank 1, which is all that LoRA has
with $r = 1$, is one of these.

**Singular values** $\sigma_k$ say how much the matrix stretches each of 8 perpendicular directions. The rank
counts those above zero. One that is small against the largest is a direction that hardly counts: full rank
is cheap.

**Full rank is not free choice.** The matrices fill $3d - 2$ dimensions of $d^2$: here 22 of 64.
""",
    RealLayer("cdvft", "ranks", "both diagonals, the circulant, and the singular values of their product"),
    (
        "What does a zero in c do to the rank?",
        "Can one entry alone change?",
        "A zero in a diagonal and a silenced pair of waves: which rank is left?",
    ),
    ("1", "3"),
)
