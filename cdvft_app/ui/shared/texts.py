"""The words of the Train tab: one plain sentence for each choice."""

from __future__ import annotations

PAPER = "https://arxiv.org/abs/2505.00580"
TITLE = "CDVFT Studio"
TAGLINE = "Fine-tune with circulant and diagonal vectors"

# Setting -> (label, hint). Names are those of RaceRequest.
SETTINGS: dict[str, tuple[str, str]] = {
    "model": ("Model", "The pretrained network that stays frozen."),
    "dataset": ("Data", "The labelled examples to learn from."),
    "methods": ("Race", "Each method trains on the same data, in the same order, from the same start."),
    "m": (
        "m, diagonal vectors",
        "2 is the paper's choice: diagonal, circulant, diagonal. More reach more matrices and cost more.",
    ),
    "block_size": (
        "p, block size",
        "Side of each circulant block. Empty: one block a square layer. Smaller ones cost and say more.",
    ),
    "alpha": ("α, scale", "The learned change is multiplied by this before it is added."),
    "target_modules": ("Layers", "Which linear layers get an adapter, in every method."),
    "init_weights": (
        "Zero at first",
        "Exactly one factor begins at zero: nothing changes at first, and the others can learn.",
    ),
    "epochs": ("Epochs", "How often each example is seen."),
    "max_steps": ("Steps at most", "Ends sooner after so many batches. Empty: whole epochs."),
    "batch_size": ("Batch size", "Examples a step. Smaller needs less memory."),
    "train_examples": ("Training examples", "How many are used."),
    "evaluation_examples": ("Evaluation examples", "Held out to measure with."),
    "max_length": ("Longest text", "In tokens; longer texts are cut."),
    "image_size": ("Image size", "In pixels, each side."),
    "seed": ("Seed", "Same seed, same data order and same start."),
    "lora_r": ("LoRA r", "Rank of the low-rank change."),
    "fourierft_n": ("FourierFT n", "Spectral entries learned in each layer."),
    "fourierft_scaling": ("FourierFT scaling", "Multiplies its learned change."),
    "c3a_block_size": ("C3A block size", "Side of its circulant blocks. Empty: the greatest common divisor."),
    "schedule": ("Schedule", "How the learning rate falls after warm-up."),
    "warmup_ratio": ("Warm-up", "Share of the steps in which the rate rises, 0 to 0.5."),
    "weight_decay": ("Weight decay", "Pulls trained numbers towards zero."),
    "checkpoint_every": ("Checkpoint every", "Steps between points from which a stopped run can go on."),
}

# What is particular about a method's learning rate.
RATES = {"cdvft": "Empty: with m = 4 and more, 0.3 of what was found with m = 2."}

INIT_CHOICES = [
    ("output diagonal", "zero_output"),
    ("circulant", "zero_circulant"),
    ("input diagonal", "zero_input"),
]
SCHEDULE_CHOICES = [("linear", "linear"), ("cosine", "cosine"), ("constant", "constant")]


def counted(number: float, noun: str) -> str:
    """1 step, 2 steps, 1.5 epochs."""
    return f"{number:g} {noun}{'' if number == 1 else 's'}"


METHOD = r"""$\Delta W = \mathrm{diag}(a_3)\,\mathrm{circ}(c_2)\,\mathrm{diag}(a_1)$ for $m = 2$, and
$h = Wx + \alpha\,\Delta W x$. The product with $\mathrm{circ}(c)$ is an FFT,
so $\Delta W$ is never built."""
