"""What the paper states beside what comes out here: Ding, Chen, Liao, Wang, IJCAI 2025 (arXiv 2505.00580).

Its full text could not be had: its figures come from the abstract and from independent summaries. A verdict
on a figure is computed, not written down: what is recomputed here, rounded as the paper rounds, is compared
with what it prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cdvft import cost
from cdvft_app.methods import METHODS
from cdvft_app.shapes import model_shapes

Verdict = Literal["equal", "different", "not reproducible here", "nothing to compare"]

SOURCE = "Ding et al., IJCAI 2025, as its abstract and summaries state it"
_BLOCK_SIZES = (4096, 2048, 1024, 512, 256, 128)
_TOKENS = 256
_MANY_TOKENS = 10**6
_LORA_AND_CDVFT: tuple[cost.Method, ...] = ("lora", "cdvft")
_FOURIERFT_AND_CDVFT: tuple[cost.Method, ...] = ("fourierft", "cdvft")
_USUAL: dict[cost.Method, str] = {
    "cdvft": "m = 2",
    "lora": "r = 8",
    "fourierft": "n = 1000",
    "c3a": "b = the sizes' greatest common divisor",
}


@dataclass(frozen=True)
class PaperRow:
    """One figure.

    `published` is what the paper prints, None where we know of no figure; `recomputed` is what comes out
    here, None where it needs runs that this machine has not made; `why` is a sentence behind the verdict.
    """

    topic: str
    quantity: str
    unit: str
    published: str | None
    recomputed: float | None
    verdict: Verdict
    why: str
    source: str = SOURCE


def paper_rows() -> list[PaperRow]:
    """Every figure: RoBERTa-base, the effect of p on LLaMA-2-7B, Llama-3-8B, and what only runs can tell."""
    return [
        *_roberta_parameters(),
        *_roberta_flops(),
        *_llama_2_by_block_size(),
        *_llama_3(),
        *_experiments(),
    ]


def _roberta_parameters() -> Iterator[PaperRow]:
    topic = "RoBERTa-base, query and value of 12 layers"
    lora, cdvft = (_estimate("roberta-base", method).trainable_parameters for method in _LORA_AND_CDVFT)
    why = f"LoRA r = 8 has {lora:,} and CDVFT m = 2 has {cdvft:,}: 16 d against 3 d a square layer."
    ratio = "LoRA's parameters over CDVFT's"
    yield _compared(topic, ratio, published="5.33", recomputed=lora / cdvft, why=why)
    yield from _parameters_by_method(topic, "roberta-base", why="Counted by formula.")


def _roberta_flops() -> Iterator[PaperRow]:
    topic = "RoBERTa-base, query and value: FLOPs of the adapters, forward"
    ratio = "FourierFT's FLOPs over CDVFT's"
    few, many = (_flops_ratio("asymptotic", tokens) for tokens in (_TOKENS // 2, _MANY_TOKENS))
    why = (
        f"Counted in the style of papers with {_TOKENS} tokens a step. Neither the paper's count nor its "
        f"number of tokens is known to us: half as many give {few:.1f}, very many {many:.1f}. "
        "Summaries also state 51.81 and 51.89."
    )
    at = f"{ratio}, in the style of papers"
    yield _compared(topic, at, published="51.8", recomputed=_flops_ratio("asymptotic", _TOKENS), why=why)
    why = "A real FFT counts 2.5 n log2 n and a complex product 6; the style of papers has n log2 n and 0."
    for tokens, tokens_text in ((_TOKENS, f"{_TOKENS} tokens"), (_MANY_TOKENS, "very many tokens")):
        at = f"{ratio}, with real FFTs' constants, {tokens_text}"
        yield _compared(topic, at, published="51.8", recomputed=_flops_ratio("real_fft", tokens), why=why)


def _llama_2_by_block_size() -> Iterator[PaperRow]:
    topic = "LLaMA-2-7B, query and value: the effect of the block size p"
    for p in _BLOCK_SIZES:
        found = _estimate("Llama-2-7b-hf", "cdvft", block_size=p)
        why = "2 d + d² / p a layer. What p does to the metric takes runs of a 7-billion-parameter model."
        yield _counted(topic, f"CDVFT, p = {p}", "parameters", found.trainable_parameters, why)
        why = "Smaller blocks mean shorter FFTs but (d / p)² products of their spectra."
        yield _counted(topic, f"CDVFT, p = {p}", "forward FLOPs a token", found.forward_flops_per_token, why)


def _llama_3() -> Iterator[PaperRow]:
    topic = "Llama-3-8B, query and value, which the paper's reviewers asked for"
    why = "By its shape: grouped queries make the value layer 1024 × 4096, four blocks of 1024 for CDVFT."
    return _parameters_by_method(topic, "Meta-Llama-3-8B", why)


def _parameters_by_method(topic: str, model: str, why: str) -> Iterator[PaperRow]:
    for method, setting in _USUAL.items():
        found = _estimate(model, method).trainable_parameters
        yield _counted(topic, f"{METHODS[method].title}, {setting}", "parameters", found, why)


def _experiments() -> Iterator[PaperRow]:
    for topic, needs in (
        ("GLUE with RoBERTa-base and -large", "the models and data from the hub, and hours of a GPU"),
        ("Image classification with ViT-B/16 and ViT-L/16 on eight datasets", "the hub, and hours of a GPU"),
        ("Instruction tuning of LLaMA-2-7B on Alpaca", "the hub, a large GPU, and a judge of answers"),
    ):
        why = f"It takes {needs}; the paper's tables could not be had to compare with."
        yield PaperRow(topic, "metric", "", None, None, "not reproducible here", why)


def _compared(topic: str, quantity: str, *, published: str, recomputed: float, why: str) -> PaperRow:
    decimals = len(published.partition(".")[2])
    verdict: Verdict = "equal" if f"{recomputed:.{decimals}f}" == published else "different"
    return PaperRow(topic, quantity, "times", published, recomputed, verdict, why)


def _counted(topic: str, quantity: str, unit: str, recomputed: float, why: str) -> PaperRow:
    return PaperRow(topic, quantity, unit, None, recomputed, "nothing to compare", why)


def _estimate(
    model: str,
    method: cost.Method,
    tokens: int = _TOKENS,
    block_size: int | None = None,
    convention: cost.Convention = "real_fft",
) -> cost.Cost:
    shapes = model_shapes(model)
    return cost.estimate(
        method,
        shapes.select(shapes.default_targets),
        batch=1,
        sequence=tokens,
        block_size=block_size,
        convention=convention,
    )


def _flops_ratio(convention: cost.Convention, tokens: int) -> float:
    fourierft, cdvft = (
        _estimate("roberta-base", method, tokens, convention=convention).forward_flops_per_step
        for method in _FOURIERFT_AND_CDVFT
    )
    return fourierft / cdvft
