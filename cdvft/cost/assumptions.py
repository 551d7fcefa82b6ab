"""The sentences behind each number, for a reader who points at it."""

from __future__ import annotations

METHOD: dict[str, tuple[str, ...]] = {
    "cdvft": ("CDVFT keeps only its input and walks the factors again in the backward pass (its FFT path).",),
    "lora": ("LoRA runs without dropout, bias and DoRA.",),
    "dora": (
        "DoRA is LoRA with trained magnitudes; PEFT builds B A every step for its norms.",
        "DoRA runs without dropout, which would apply the frozen weights twice.",
    ),
    "vera": ("VeRA's A and B are frozen and shared by all layers; its file holds them, as PEFT saves them.",),
    "fourierft": (
        "FourierFT builds a dense weight change by a 2-D FFT every step and keeps it for the backward pass.",
        "FourierFT's file holds values only: their places are drawn again from a seed.",
    ),
    "c3a": ("C3A is counted as PEFT runs it, with full complex spectra.",),
    "head": ("Head only: the frozen model needs no backward pass.",),
    "full": ("Full fine-tuning adds weight gradients to the model's own forward and backward.",),
}
COUNTING: dict[str, tuple[str, ...]] = {
    "real_fft": (
        "A real FFT of length n counts 2.5 n log2 n, a complex one 5 n log2 n, a multiply-add 2, "
        "a complex product 6.",
        "Scaling, adding the branch to the frozen output, copies and the optimizer are not counted, "
        "for any method.",
    ),
    "asymptotic": (
        "Counted as papers do: an FFT of N entries is N log2 N, products of spectra are dropped, "
        "and backward is twice forward.",
    ),
}
MEMORY = (
    "Adapter weights, gradients, activations and AdamW's two moments are float32.",
    "Merged for inference, an adapter costs nothing.",
)
