"""Command-line options made from the fields of `RunSettings`, so that both offer the same."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import typer
from pydantic import ValidationError

from cdvft_app.settings import METHODS, InvalidChoice, RunSettings, explain

DEFAULT_METHOD = "cdvft"

# Each field's type on the command line and what it means. Its range is checked by RunSettings.
OPTIONS: dict[str, tuple[Any, str]] = {
    "recipe": (str, "Model, data and starting values that go together."),
    "method": (str, f"One of {', '.join(METHODS)}."),
    "model": (str, "A model of the catalogue, or a hub id."),
    "dataset": (str, "A dataset of the catalogue, or a hub id."),
    "target_modules": (list[str], "Names of the layers that get an adapter; give it once a name."),
    "m": (int, "CDVFT: how many diagonals; between them are m - 1 circulants."),
    "block_size": (int, "CDVFT: side of the square blocks that a weight is cut into."),
    "alpha": (float, "CDVFT: factor on the update."),
    "init_weights": (str, "CDVFT: which factor begins at zero: zero_output, zero_circulant, zero_input."),
    "lora_r": (int, "LoRA: rank."),
    "fourierft_n": (int, "FourierFT: how many spectral coefficients a layer."),
    "fourierft_scaling": (float, "FourierFT: factor on the update."),
    "c3a_block_size": (int, "C3A: side of the blocks."),
    "learning_rate": (float, "Peak learning rate of the method."),
    "epochs": (float, "Passes over the training examples."),
    "max_steps": (int, "Optimizer steps; stands above epochs."),
    "batch_size": (int, "Examples a step, over all processes."),
    "train_examples": (int, "How many training examples to use."),
    "evaluation_examples": (int, "How many evaluation examples to use."),
    "max_length": (int, "Text: tokens after which an example is cut."),
    "image_size": (int, "Images: side in pixels."),
    "schedule": (str, "Learning rate after the warm-up: linear, cosine, constant."),
    "warmup_ratio": (float, "Share of the steps over which the learning rate rises."),
    "weight_decay": (float, "AdamW's weight decay."),
    "seed": (int, "Decides the start values and the order of the data."),
    "checkpoint_every": (int, "Steps between checkpoints."),
}


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Fill `command`'s first parameter with `RunSettings` made from one option for each of its fields."""

    def with_options(**values: Any) -> None:
        chosen = {name: values.pop(name) for name in OPTIONS}
        command(
            _settings({name: value for name, value in chosen.items() if value not in (None, [])}), **values
        )

    _, *rest = inspect.signature(command, eval_str=True).parameters.values()
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in rest]
    with_options.__signature__ = inspect.Signature([*map(_option, OPTIONS), *own])  # type: ignore[attr-defined]
    with_options.__name__, with_options.__doc__ = command.__name__, command.__doc__
    return with_options


def _option(name: str) -> inspect.Parameter:
    kind, meaning = OPTIONS[name]
    default = DEFAULT_METHOD if name == "method" else RunSettings.model_fields[name].get_default()
    recipe_decides = "each layer's own" if name.endswith("block_size") else "the recipe's"
    shown = recipe_decides if default is None else str(default)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=typer.Option(None, help=meaning, show_default=shown),
        annotation=kind | None,
    )


def _settings(given: dict[str, Any]) -> RunSettings:
    try:
        return RunSettings.model_validate({"method": DEFAULT_METHOD, **given})
    except ValidationError as error:
        raise InvalidChoice(explain(error)) from None
