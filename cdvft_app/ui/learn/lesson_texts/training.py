"""How the vectors start, and what goes wrong with too few digits or too high a rate."""

from cdvft_app.ui.learn.lesson_texts.lesson import Lesson, Question, RealLayer

START = Lesson(
    "start",
    "Start with exactly one zero",
    "start",
    r"""
Fine-tuning should begin at the pretrained model, with $\Delta W = 0$. A product is zero as soon as one
factor is. So why not set several of the three vectors to zero?
""",
    (
        Question(
            "start",
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
            "By the product rule two zeros leave every gradient at zero.",
        ),
    ),
    r"""
Because of the product rule. The gradient of one vector is made of **all the others**:

$$\frac{\partial \mathcal{L}}{\partial a_3} = \sum_{\text{tokens}}
\frac{\partial \mathcal{L}}{\partial h} \odot \big(\mathrm{circ}(c_2)\,\mathrm{diag}(a_1)\,x\big)$$

Let $a_3$ start at zero. If $c_2$ or $a_1$ is zero too, this gradient is zero, and so is everybody
else's: nothing ever moves. With $a_3$ alone at zero, it moves first, and then the others can follow. With
no zero, the model is already changed at random before it has seen an example.
""",
    RealLayer("cdvft", "vectors", "which vector is zero at step 0, and how the others follow it"),
    ("6",),
)

BREAKING = Lesson(
    "breaking",
    "Break it",
    "breaking",
    r"""
Large models calculate in bfloat16, with 7 bits after the point. A Fourier transform adds all $d$ numbers up
in $\log_2 d$ rounds, and every round rounds; a product row by row adds the same numbers up, and errs as
much or more.
""",
    (
        Question(
            "breaking",
            "A model runs in bfloat16. In which precision does its CDVFT adapter calculate the FFT, unless "
            "asked otherwise?",
            (
                (
                    "bfloat16, like the model",
                    "There is no such FFT, and its 7 bits would cost accuracy: no more than a product "
                    "row by row.",
                ),
                ("float32", "The input is cast up, the product made in float32, and the result cast back."),
                ("It makes no difference", "Drag the bits to 7 and look at the error."),
            ),
            1,
            "Unless asked otherwise, adapters calculate in float32, whatever the model's precision. The "
            "fused kernel for GPUs, which serves where it is asked for, uses float16 with a scale.",
        ),
    ),
    r"""
**Too few digits.** There is no bfloat16 FFT in PyTorch at all, and a float16 one only for some lengths on
some GPUs. So the adapter's vectors stay in float32 whatever the model's precision, and only the result is
cast back.

**Too high a rate.** $\Delta W$ is a product of three vectors: when a step makes each of them twice as
large, $\Delta W$ is eight times as large, and the next step is larger still. What you start here is no
recording: this server really trains three vectors of 64 numbers by gradient descent, and the same watch
looks at the loss that ends a race on the Train tab. **Drag** the rate up, and let go.
""",
    RealLayer("cdvft", "overview", "the loss over the steps of a run whose rate was not too high"),
    ("7",),
)
