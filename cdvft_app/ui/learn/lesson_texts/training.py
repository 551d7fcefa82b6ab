"""How the vectors start, and what goes wrong with too few digits or too high a rate."""

from cdvft_app.ui.learn.lesson_texts.lesson import Choice, Lesson, RealLayer, Task

START = Lesson(
    "start",
    "Start with exactly one zero",
    "start",
    r"""
Fine-tuning adds a change $\Delta W$ to a layer's weights, and should begin at the pretrained model, with
$\Delta W = 0$. A product is zero as soon as one factor is.
""",
    (
        Task(
            "start-zero",
            "Choose what starts at zero, so that ΔW = 0 and the loss still falls.",
            "One zero, whichever it is, starts at the pretrained model, and training goes on from there.",
            "One zero, in a₁, c₂ or a₃: ΔW = 0, and training starts.",
            "Exactly one zero; with m = 2 it may be any of the three: only that vector moves at the first "
            "step, and then the others follow.",
        ),
        Choice(
            "start",
            "The output diagonal and the circulant both start at zero. What does training do?",
            "By the product rule two zeros leave every gradient at zero.",
            "Two zeros: every gradient stays zero.",
            (
                (
                    "It is slow at first, then catches up",
                    "It never starts: look at the gradients. All three are zero.",
                ),
                (
                    "Nothing, forever",
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
    r"""
**The product rule** is why. The gradient of one vector is made of **all the others**. Over all inputs $x$,
with the layer's outputs $h$:

$$\frac{\partial \mathcal{L}}{\partial a_3} = \sum_{x}
\frac{\partial \mathcal{L}}{\partial h} \odot \big(\mathrm{circ}(c_2)\,\mathrm{diag}(a_1)\,x\big)$$

Let $a_3$ start at zero. If $c_2$ or $a_1$ is zero too, this gradient is zero, and so are the
others: nothing ever moves. With $a_3$ alone at zero, it moves first, and then the others can follow. With
no zero, the model is already changed at random before it has seen an example.

LoRA's change $BA$ starts with $B$ at zero and a random $A$: one zero, too. With $m = 3$ five vectors are
multiplied, and again only the last one is zero.
""",
    RealLayer("cdvft", "vectors", "which vector is zero at step 0, and how the others follow it"),
    (
        "May c or a₁ be the zero one?",
        "Where does LoRA have its zero?",
        "What about m = 3?",
    ),
    ("6",),
)

BREAKING = Lesson(
    "breaking",
    "Break it",
    "breaking",
    r"""
A change $\Delta W$, the product of three vectors of 64 numbers, is trained by gradient descent to become
another such product.
""",
    (
        Task(
            "breaking-rate",
            "Break it: raise the learning rate until the loss runs away.",
            "The update is a product: too large a rate makes each factor grow, and with it the "
            "gradients of the others.",
            "Too high a rate: ΔW, a product, grows faster than any of its vectors.",
            "When a step makes each of the three vectors of m = 2 twice as large, ΔW is eight times as "
            "large, and the next step is larger still.",
        ),
        Choice(
            "breaking",
            "A model runs in bfloat16. In which precision does its CDVFT adapter calculate the FFT, unless "
            "asked otherwise?",
            "Unless asked otherwise, the FFT is made in float32, whatever the model's precision. The fused "
            "kernel for GPUs, which is used only on request, takes float16 with a scale.",
            "Adapters make their FFT in float32, whatever the model's precision.",
            (
                (
                    "bfloat16, like the model",
                    "There is no such FFT. Its 7 bits would cost accuracy, though no more than row by row.",
                ),
                ("float32", "The input is cast up, the FFT made in float32, and the result cast back."),
                ("It makes no difference", "Drag the bits to 7 and look at the error."),
            ),
            1,
        ),
    ),
    r"""
**Too few digits.** Large models calculate in bfloat16, with 7 bits after the point. A Fourier transform adds
all $d$ numbers up in $\log_2 d$ rounds, and each round adds rounding errors. A product row by row whose sums
are rounded, too, errs as much or more; with sums in float32, as in matrix units, it errs less.
There is no bfloat16 FFT in PyTorch at all, and a float16 one only for some lengths on some GPUs. So the
adapter's vectors stay in float32 whatever the model's precision, and only the result is cast back. On a GPU
many tokens may go through $W + \Delta W$ as one matrix in the model's precision, without an FFT, once
$\Delta W$ is large enough not to be lost in rounding.

**Too high a rate.** When each vector grows by a tenth, $\Delta W$ grows by a third with $m = 2$, $1.1^3$, and
nearly doubles with $m = 4$, $1.1^7$: so here a rate of 0.03, which serves $m = 2$
well, breaks $m = 4$.
""",
    RealLayer("cdvft", "overview", "the loss over the steps of a run whose rate was not too high"),
    (
        "Is a product row by row safer in bfloat16?",
        "Why does a rate that serves m = 2 break m = 4?",
        "How large is the error with 7 bits?",
    ),
    ("7",),
)
