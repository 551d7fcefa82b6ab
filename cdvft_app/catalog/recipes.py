"""The recipes: models and datasets with settings that are known to go together.

Learning rates are each method's own: one shared rate would make any comparison unfair.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from cdvft_app.catalog.datasets import DATASETS
from cdvft_app.catalog.entries import Expected, Recipe
from cdvft_app.catalog.models import MODELS
from cdvft_app.methods import METHODS

# Not measured here: the methods' usual rates for larger models and longer runs.
_USUAL_RATES: Mapping[str, float] = {key: method.usual_learning_rate for key, method in METHODS.items()}

# Measured: the winners of one search, judged on rows that are not evaluated on
# (benchmarks/results/learning_rates.json). The head's rate is that of the head in every method.
_SENTIMENT_RATES: Mapping[str, float] = {
    **_USUAL_RATES,
    "cdvft": 2e-2,
    "lora": 3e-3,
    "fourierft": 1e-1,
    "c3a": 1.0,
    "head": 3e-2,
    "full": 1e-4,
}
_DIGIT_RATES: Mapping[str, float] = {
    **_USUAL_RATES,
    "cdvft": 1e-2,
    "lora": 3e-3,
    "fourierft": 3e-2,
    "c3a": 3e-1,
    "head": 1e-2,
    "full": 1e-5,
}

# Of searches on the validation rows of us_addresses, five tries a method, and of wikisql, four tries a
# method (benchmarks/results/learning_rates.json).
_ADDRESS_RATES: Mapping[str, float] = {**_USUAL_RATES, "cdvft": 2e-2, "lora": 1e-2, "fourierft": 1e-1}
_SQL_RATES: Mapping[str, float] = {**_ADDRESS_RATES, "cdvft": 3e-2}

# Per-task scores of the paper could not be read; this is what its abstract and reviews say of RoBERTa-base.
_PAPER_GLUE = (
    "The paper reports, for RoBERTa-base on GLUE, 5.33 times fewer trainable parameters than LoRA and "
    "51.8 times fewer FLOPs than FourierFT."
)


_TIMED = (
    "steps on random weights on two idle cores, times their number, in benchmarks/results/hub_times.json; "
    "its score is not measured yet"
)
_RACED = (
    "accuracy, the mean of {} seeds in benchmarks/results/default_race.json; "
    "seconds of one run on two idle cores"
)


def _recipe(
    *,
    key: str,
    model: str,
    dataset: str,
    epochs: float,
    batch_size: int,
    evaluation_examples: int,
    expected: Expected,
    offline: bool = False,
    title: str | None = None,
    train_examples: int | None = None,
    max_length: int | None = None,
    image_size: int | None = None,
    learning_rates: Mapping[str, float] = _USUAL_RATES,
    **large: Any,
) -> Recipe:
    """With what follows from its model and dataset; `large` is what a large model needs to fit."""
    return Recipe(
        key=key,
        title=title or f"{DATASETS[dataset].title} with {MODELS[model].title}",
        model=model,
        dataset=dataset,
        kind=MODELS[model].kind,
        offline=offline,
        targets=MODELS[model].default_targets,
        epochs=epochs,
        batch_size=batch_size,
        train_examples=train_examples or DATASETS[dataset].examples or 0,
        evaluation_examples=evaluation_examples,
        max_length=max_length,
        image_size=image_size,
        learning_rates=learning_rates,
        expected=expected,
        **large,
    )


def _offline(*, batch_size: int = 16, epochs: float = 2.0, **more: Any) -> Recipe:
    return _recipe(offline=True, batch_size=batch_size, epochs=epochs, **more)


def _glue(
    *, key: str, epochs: float, evaluation_examples: int, seconds_cpu2: float, max_length: int = 128
) -> Recipe:
    return _recipe(
        key=key,
        model="roberta_base",
        dataset=key,
        epochs=epochs,
        batch_size=32,
        evaluation_examples=evaluation_examples,
        max_length=max_length,
        expected=Expected(seconds_cpu2=seconds_cpu2, at_most=True, paper=_PAPER_GLUE, source=_TIMED),
    )


def _images(*, key: str, model: str, epochs: float, evaluation_examples: int, seconds_cpu2: float) -> Recipe:
    return _recipe(
        key=key,
        model=model,
        dataset=key,
        epochs=epochs,
        batch_size=32,
        evaluation_examples=evaluation_examples,
        image_size=224,
        expected=Expected(seconds_cpu2=seconds_cpu2, source=_TIMED),
    )


def _written(
    *,
    gradient_accumulation: int | None = None,
    bits: Literal[4, 8] | None = None,
    **more: Any,
) -> Recipe:
    """A language model of the hub: one pass over so many examples, in bfloat16, activations computed twice.

    MetaMathQA's are those of PEFT's comparison of methods: 5,000 steps of 4, 768 tokens.
    """
    return _recipe(
        epochs=1.0,
        expected=Expected(source="not run here"),
        bits=bits,
        gradient_checkpointing=True,
        gradient_accumulation=gradient_accumulation,
        precision="bfloat16",
        **more,
    )


_ALPACA: Mapping[str, Any] = {
    "dataset": "alpaca", "train_examples": 20_000, "evaluation_examples": 500, "max_length": 512,
    "batch_size": 16,
}  # fmt: skip
_METAMATH: Mapping[str, Any] = {
    "dataset": "metamath", "train_examples": 20_000, "evaluation_examples": 500, "max_length": 768,
    "batch_size": 4,
}  # fmt: skip

_ALL = (
    _offline(
        key="sentiment",
        title="Sentiment of film reviews",
        model="minilm",
        dataset="rotten_tomatoes",
        learning_rates=_SENTIMENT_RATES,
        train_examples=2048,
        evaluation_examples=1024,
        max_length=48,
        batch_size=32,
        expected=Expected(
            seconds_cpu2=39,
            metric={"cdvft": 0.7875, "lora": 0.7809, "fourierft": 0.7902},
            source=_RACED.format("five"),
        ),
    ),
    _offline(
        key="mnist",
        title="Handwritten digits (MNIST)",
        model="vit_small",
        dataset="mnist",
        learning_rates=_DIGIT_RATES,
        train_examples=600,
        evaluation_examples=500,
        image_size=70,
        expected=Expected(
            seconds_cpu2=18,
            metric={"cdvft": 0.928, "lora": 0.928, "fourierft": 0.9132},
            source=_RACED.format("five"),
        ),
    ),
    _offline(
        key="digits",
        title="Tiny handwritten digits",
        model="vit_small",
        dataset="digits",
        learning_rates=_DIGIT_RATES,
        train_examples=600,
        evaluation_examples=359,
        image_size=70,
        expected=Expected(
            seconds_cpu2=14,
            metric={"cdvft": 0.9677, "lora": 0.9716, "fourierft": 0.9554},
            source=_RACED.format("five"),
        ),
    ),
    _offline(
        key="addresses",
        title="Read addresses (a language model)",
        model="smollm2",
        dataset="us_addresses",
        learning_rates=_ADDRESS_RATES,
        train_examples=456,
        evaluation_examples=96,
        max_length=128,
        batch_size=8,
        epochs=1.0,
        expected=Expected(
            metric={"cdvft": 0.525, "lora": 0.6125, "fourierft": 0.4708},
            untrained={"told the same": 0.0, "with three examples in the prompt": 1 / 96},
            source=(
                "exact match, the mean of five seeds in benchmarks/results/default_race.json; untrained "
                "in benchmarks/results/untrained_addresses.json"
            ),
        ),
    ),
    _offline(
        key="sql",
        title="Write SQL (a language model)",
        model="smollm2",
        dataset="wikisql",
        learning_rates=_SQL_RATES,
        train_examples=240,
        evaluation_examples=96,
        max_length=128,
        batch_size=8,
        epochs=1.0,
        expected=Expected(
            metric={"cdvft": 0.3042, "lora": 0.3104, "fourierft": 0.2375},
            untrained={"told the same": 0.0, "with three examples in the prompt": 2 / 96},
            source=(
                "exact match, the mean of five seeds in benchmarks/results/default_race.json; untrained "
                "in benchmarks/results/untrained_sql.json"
            ),
        ),
    ),
    _glue(key="sst2", epochs=3, evaluation_examples=872, seconds_cpu2=45305),
    _glue(key="mrpc", epochs=20, evaluation_examples=408, seconds_cpu2=16535),
    _glue(key="cola", epochs=10, evaluation_examples=1043, seconds_cpu2=19481),
    _glue(key="qnli", epochs=3, evaluation_examples=5463, seconds_cpu2=218362, max_length=256),
    _glue(key="rte", epochs=20, evaluation_examples=277, seconds_cpu2=34185, max_length=256),
    _glue(key="stsb", epochs=10, evaluation_examples=1500, seconds_cpu2=13386),
    _images(key="cifar10", model="vit_base", epochs=3, evaluation_examples=10_000, seconds_cpu2=52533),
    _images(key="cifar100", model="vit_base", epochs=3, evaluation_examples=10_000, seconds_cpu2=52533),
    _images(key="eurosat", model="vit_base", epochs=3, evaluation_examples=5_400, seconds_cpu2=18532),
    _images(key="dtd", model="vit_base", epochs=10, evaluation_examples=1_880, seconds_cpu2=12780),
    _images(key="pets", model="vit_base", epochs=10, evaluation_examples=3_669, seconds_cpu2=13726),
    _images(key="food101", model="dinov2_base", epochs=1, evaluation_examples=25_250, seconds_cpu2=52118),
    _written(key="alpaca_qwen_05b", model="qwen25_05b", gradient_accumulation=2, **_ALPACA),
    _written(key="alpaca_llama_1b", model="llama32_1b", gradient_accumulation=2, **_ALPACA),
    _written(key="alpaca_llama_8b", model="llama3_8b", gradient_accumulation=4, bits=4, **_ALPACA),
    _written(key="metamath_qwen_05b", model="qwen25_05b", **_METAMATH),
    _written(key="metamath_llama_3b", model="llama32_3b", **_METAMATH),
    _written(key="metamath_qwen_7b", model="qwen25_7b", bits=4, **_METAMATH),
)

RECIPES: Mapping[str, Recipe] = {recipe.key: recipe for recipe in _ALL}
