"""Labels and hints of the Train tab's settings: one plain sentence for each."""

from __future__ import annotations

PAPER = "https://arxiv.org/abs/2505.00580"
TITLE = "CDVFT Studio"
TAGLINE = "Fine-tune with circulant and diagonal vectors"

# Setting -> (label, hint). Names are those of RaceRequest.
SETTINGS: dict[str, tuple[str, str]] = {
    "model": ("Model", "The pretrained network that stays frozen."),
    "dataset": ("Data", "The labelled examples to learn from."),
    "dataset_config": ("Configuration", "Of the dataset, where it has several."),
    "train_split": ("Split to train on", "Empty: train."),
    "evaluation_split": ("Split to evaluate on", "Empty: validation or test, else a share is held out."),
    "dataset_revision": ("Revision", "Branch, tag or commit. The run keeps the commit it stood at."),
    "methods": (
        "Race",
        "Each method trains on the same data, in the same order, from the same start. "
        "Two values in one of its fields, such as 8, 16 for LoRA's r, race it twice.",
    ),
    "target_modules": ("Layers", "Which linear layers get an adapter, in every method."),
    "epochs": ("Epochs", "How often each example is seen."),
    "max_steps": ("Steps at most", "Ends sooner after so many batches. Empty: whole epochs."),
    "batch_size": ("Batch size", "Examples a step. Smaller needs less memory."),
    "train_examples": ("Training examples", "How many are used."),
    "evaluation_examples": ("Evaluation examples", "Held out to measure with."),
    "max_length": ("Longest text", "In tokens; longer texts are cut."),
    "image_size": ("Image size", "In pixels, each side."),
    "seed": ("Seed", "Same seed, same data order and same start."),
    "schedule": ("Schedule", "How the learning rate falls after warm-up."),
    "warmup_ratio": ("Warm-up", "Share of the steps in which the rate rises, 0 to 0.5."),
    "weight_decay": ("Weight decay", "Pulls trained numbers towards zero."),
    "own_prompt": (
        "A prompt of your own",
        "Answered again and again while each method trains, beside four that were held out.",
    ),
    "all_gpus": ("All visible GPUs", "Share each batch among them."),
    "precision": ("Precision", "Automatic: bfloat16 for language models, where the processor has it."),
    "bits": (
        "Bits a frozen weight",
        "4 or 8, where bitsandbytes is installed: a large model then fits. 32: as they are.",
    ),
    "gradient_checkpointing": (
        "Checkpoint activations",
        "Computes them twice in place of keeping them: less memory, longer steps.",
    ),
    "torch_compile": (
        "Compile steps",
        "torch.compile: steps become CUDA graphs, which spares the time between small operators. It takes a "
        "minute or so before the first step, and every text is padded to the longest. Not measured on any "
        "GPU yet.",
    ),
    "gradient_accumulation": ("Parts of a batch", "More need less memory, and learn the same."),
    "checkpoint_every": ("Checkpoint every", "Steps between points from which a stopped run can go on."),
}

PRECISION_CHOICES = [("automatic", "auto"), ("float32", "float32"), ("bfloat16", "bfloat16")]
SCHEDULE_CHOICES = [("linear", "linear"), ("cosine", "cosine"), ("constant", "constant")]


def counted(number: float, noun: str) -> str:
    """1 step, 2 steps, 1.5 epochs."""
    return f"{number:g} {noun}{'' if number == 1 else 's'}"


METHOD = r"""$\Delta W = \mathrm{diag}(a_3)\,\mathrm{circ}(c_2)\,\mathrm{diag}(a_1)$ for $m = 2$, and
$h = Wx + \alpha\,\Delta W x$. The product with $\mathrm{circ}(c)$ is an FFT,
so $\Delta W$ need not be built."""
