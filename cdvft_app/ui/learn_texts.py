"""The words of the lessons: for a reader who knows matrices and has not met the FFT."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """prompt: what is asked; answers: (answer, reply to who gives it); right: place of the right one."""

    prompt: str
    answers: tuple[tuple[str, str], ...]
    right: int


@dataclass(frozen=True)
class Lesson:
    """key: its place in the address; module: assets/js/learn/<module>.js; text: Markdown with formulas."""

    key: str
    title: str
    module: str
    text: str
    question: Question


LESSONS: tuple[Lesson, ...] = (
    Lesson(
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
    ),
    Lesson(
        "2",
        "The FFT makes it cheap",
        "convolution",
        r"""
Multiplying by a circulant slides $c$ along $x$, multiplies and adds: a **circular convolution**. Here
$c$ is a bell, so the product is $x$ smoothed. Row by row that costs $d^2$ multiplications.

The fast Fourier transform (FFT) writes a vector as a sum of waves, in about $d \log_2 d$ steps. A
circulant cannot mix waves: it only makes each one larger or smaller, and moves it along. In the basis of
waves it is a **diagonal** matrix, and the numbers $\mathrm{FFT}(c)$ are its eigenvalues. Hence

$$\mathrm{circ}(c)\,x = \mathrm{IFFT}\big(\mathrm{FFT}(c) \odot \mathrm{FFT}(x)\big)$$

where $\odot$ multiplies number by number and IFFT goes back.

**Drag $d$,** and see how the two ways part.
""",
        Question(
            "A vector becomes 16 times longer, from 256 to 4,096. How much more work is the product by FFT?",
            (
                ("256 times", "That is row by row, where work grows as d². By FFT it grows as d log₂ d."),
                ("About 24 times", "16 times the length, and log₂ d grows from 8 to 12: 16 × 12 / 8 = 24."),
                ("16 times", "Nearly: the length gives 16, but log₂ d grows too, from 8 to 12."),
            ),
            1,
        ),
    ),
    Lesson(
        "3",
        "Two diagonals break the symmetry",
        "symmetry",
        r"""
A circulant treats every place alike: shift $x$ and the result shifts with it. A network is not like
that, feature 5 may matter and feature 6 not. A **diagonal** matrix says just that, by scaling each place
by a number of its own. CDVFT puts one before the circulant and one after it:

$$\Delta W = \mathrm{diag}(a_3)\;\mathrm{circ}(c_2)\;\mathrm{diag}(a_1)$$

so that an entry is $a_3[i]\;c_2[(i-j) \bmod d]\;a_1[j]$. These are $3d$ numbers in all.

Its **rank** is full unless a number of $a_1$, of $a_3$ or of $\mathrm{FFT}(c_2)$ is zero: each of the
three factors can then be inverted, and so can their product. LoRA's $BA$ pays $2d$ numbers for every
single rank.

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
    ),
    Lesson(
        "4",
        "How far m factors reach",
        "reach",
        r"""
Full rank is not everything: most matrices are no product of this form. Longer products reach more of
them. With $m$ diagonals around $m - 1$ circulants,

$$\Delta W = \mathrm{diag}(a_{2m-1})\,\mathrm{circ}(c_{2m-2}) \cdots \mathrm{circ}(c_2)\,\mathrm{diag}(a_1)$$

Huhtanen and Perämäki (2015) proved that $2n - 1$ such factors, $m = n$, are enough for a generic complex
$n \times n$ matrix. Counting tells what is too few: $m$ factors fill at most $(2m-1)(n-1)+1$ dimensions
of $n^2$. For the small $m$ that one trains, **nobody has proved how large the error is**. So it has to
be measured.

**Drag $m$.** The four targets were fitted by this project's own `cdvft.approximate`. Low rank is LoRA's
home ground: there four ranks give error 0 with $8n$ numbers. A permutation stays hard.
""",
        Question(
            "What does m = 2 give you?",
            (
                (
                    "Every matrix, only less exactly",
                    "It stays far from most of them: look at Random with m = 2.",
                ),
                (
                    "Only matrices of low rank",
                    "The other way round: they are mostly of full rank, and low rank is what it fits badly.",
                ),
                (
                    "A thin set of matrices, mostly of full rank",
                    "3n − 2 dimensions out of n². Whether a task needs just those, experiments must tell.",
                ),
            ),
            2,
        ),
    ),
    Lesson(
        "5",
        "Rectangles: blocks of side p",
        "blocks",
        r"""
Most layers are not square, and one circulant may say too little. So CDVFT cuts the $d_{out} \times
d_{in}$ layer into $p \times p$ blocks, each a circulant of its own, $q_1 = \lceil d_{out}/p \rceil$ rows
of $q_2 = \lceil d_{in}/p \rceil$:

$$h_i = \sum_j \mathrm{IFFT}\big(\mathrm{FFT}(c_{ij}) \odot \mathrm{FFT}(x_j)\big)$$

Where $p$ does not divide, the last blocks hang over the edge: the input is padded with zeros and the
output cut. With $m = 2$ this trains

$$d_{in} + d_{out} + q_1\,q_2\,p$$

numbers. A small $p$ says more and costs more; at $p = 1$ every entry would be free.

**Drag $p$,** and try one that does not divide, such as 28.
""",
        Question(
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
        ),
    ),
    Lesson(
        "6",
        "Start with exactly one zero",
        "start",
        r"""
Fine-tuning should begin at the pretrained model, with $\Delta W = 0$. A product is zero as soon as one
factor is. So why not set them all to zero?

Because of the product rule. The gradient of one vector is made of **all the others**:

$$\frac{\partial \mathcal{L}}{\partial a_3} = \sum_{\text{tokens}}
\frac{\partial \mathcal{L}}{\partial h} \odot \big(\mathrm{circ}(c_2)\,\mathrm{diag}(a_1)\,x\big)$$

If $c_2$ or $a_1$ is zero too, this gradient is zero, and so is everybody else's: nothing ever moves.
With one zero, that one vector moves first, and then it carries the others along. With none, the model is
already changed at random before it has seen an example.

**Drag** how many vectors start at zero.
""",
        Question(
            "The output diagonal and the circulant both start at zero. What does training do?",
            (
                (
                    "It is slow at first, then catches up",
                    "It never starts: look at the gradients. All three are zero.",
                ),
                (
                    "Nothing, for ever",
                    "Every gradient holds a factor that is zero. A random start elsewhere does not help.",
                ),
                (
                    "It moves only the input diagonal",
                    "Its gradient is multiplied by both zeros, so it stays put too.",
                ),
            ),
            1,
        ),
    ),
    Lesson(
        "7",
        "Break it",
        "breaking",
        r"""
**Too few digits.** Large models calculate in bfloat16, with 7 bits after the point. A Fourier transform
adds all $d$ numbers up in $\log_2 d$ rounds, and every round rounds. There is no bfloat16 FFT in PyTorch
at all, and a float16 one only for some lengths on some GPUs. So the adapter's vectors stay in float32
whatever the model's precision, and only the result is cast back.

**Drag** the bits down from float32's 23.

**Too high a rate.** $\Delta W$ is a product of three vectors, so a step that is too large grows
threefold in the next one. What you start here is no recording: this server really trains three vectors
of 64 numbers by gradient descent, and the same watch looks at the loss that ends a race on the Train
tab.

**Drag** the rate up, and let go.
""",
        Question(
            "A model runs in bfloat16. In which precision does its CDVFT adapter calculate the FFT?",
            (
                (
                    "bfloat16, like the model",
                    "There is no such FFT, and its 7 bits would cost accuracy at every round.",
                ),
                ("float32", "The input is cast up, the product made in float32, and the result cast back."),
                ("It makes no difference", "Drag the bits to 7 and look at the error."),
            ),
            1,
        ),
    ),
    Lesson(
        "8",
        "Four shapes of change",
        "shapes",
        r"""
Give four methods the same number of trained numbers, and look at what they can say with it.

- **LoRA**, $\Delta W = BA$: full freedom in a few directions, nothing outside. Rank $r$.
- **FourierFT**: a sum of $n$ plane waves, so every entry depends on every number.
- **C3A**: circulant blocks without diagonals, the same pattern all along a diagonal.
- **CDVFT**: circulant blocks whose rows and columns each have a scale.

Which one fits depends on the change that a task needs. Equal budgets are not equal cost either: LoRA and
CDVFT work on the vector $x$, FourierFT makes a $d \times d$ matrix every step.

**Drag** the budget.
""",
        Question(
            "You have 96 numbers for a 32 × 32 layer. What does CDVFT have that LoRA does not?",
            (
                (
                    "Every 32 × 32 matrix",
                    "96 numbers cannot give all 1,024 entries independently. No method can.",
                ),
                (
                    "A smaller error on any task",
                    "Nobody can promise that. If the needed change has low rank, LoRA wins.",
                ),
                (
                    "Full rank, at the price of a fixed pattern",
                    "LoRA spends 64 on each rank. CDVFT touches all 32 directions, in circulant patterns.",
                ),
            ),
            2,
        ),
    ),
)
