"""TrainingArguments for transformers.Trainer: numbers from the plan, device and precision from here."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import parse_flag_from_env
from transformers import TrainingArguments

from cdvft_app.catalog import Plan
from cdvft_app.training import schedule
from cdvft_app.training.trackers import PROJECT


def training_arguments(plan: Plan, folder: Path, examples: int, evaluation_batch: int) -> TrainingArguments:
    """What the Trainer needs to know.

    Args:
        plan: its batch size is that of all processes together.
        folder: takes the checkpoints.
        examples: number of training examples.
        evaluation_batch: examples that each process evaluates at once, where no step takes more.
    """
    settings = plan.settings
    assert settings.method.learning_rate  # a plan is complete
    total_steps = schedule.total_steps(settings, examples)
    cuda = torch.cuda.is_available() and not parse_flag_from_env("ACCELERATE_USE_CPU")
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False) if cuda else bf16_on_cpu(plan)
    if settings.precision != "auto":
        bf16 = settings.precision == "bfloat16"
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=total_steps,
        per_device_train_batch_size=schedule.examples_at_once(settings),
        per_device_eval_batch_size=max(evaluation_batch, schedule.examples_at_once(settings)),
        gradient_accumulation_steps=settings.gradient_accumulation or 1,
        **_checkpointing(settings.gradient_checkpointing),
        learning_rate=settings.method.learning_rate,
        lr_scheduler_type="constant_with_warmup" if settings.schedule == "constant" else settings.schedule,
        warmup_steps=math.ceil(settings.warmup_ratio * total_steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=1.0,
        seed=settings.seed,
        use_cpu=bf16 and not cuda,  # else the Trainer refuses bfloat16 without a GPU
        bf16=bf16,
        fp16=cuda and not bf16 and settings.precision == "auto",
        eval_strategy="steps",
        eval_steps=schedule.evaluation_every(total_steps),
        save_steps=settings.checkpoint_every,
        save_total_limit=2,
        logging_steps=1,
        logging_nan_inf_filter=False,
        label_names=["labels"],
        remove_unused_columns=False,
        report_to="none",  # see trackers.py
        project=PROJECT,
        run_name=f"{settings.method.label()}, {plan.recipe.title}, {folder.parent.name}",
        disable_tqdm=True,
        log_level="error",
        dataloader_pin_memory=cuda,
    )
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # more in one process means DataParallel; `accelerate launch` uses them all
    return arguments


def _checkpointing(is_on: bool) -> dict[str, Any]:
    """Nothing where it is off: a transformers that has another name for it says so of whatever is given."""
    # Not reentrant: that would pass no gradient on from a frozen input.
    on = {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}}
    return on if is_on else {}


def bf16_on_cpu(plan: Plan) -> bool:
    """Whether steps multiply in bfloat16 on a CPU: for language models, where the processor has it.

    The small classifiers stay in float32, in which their records were made.
    """
    has: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch before 2.11 does not tell
    return plan.model.kind == "generation" and bool(has.get("avx512_bf16") or has.get("amx_bf16"))


def head_learning_rate(plan: Plan) -> float:
    """The head's rate: the recipe's for `head`, whatever the method, but where the head alone is trained."""
    method = plan.settings.method
    own = method.learning_rate if method.key == "head" else None
    return own or plan.recipe.learning_rates["head"]


def precision(arguments: TrainingArguments) -> str:
    """The precision of the arithmetic, as pages show it; trained parameters are float32 in every case."""
    mixed = autocast_dtype(arguments)
    return f"{str(mixed).removeprefix('torch.')} mixed with float32" if mixed else "float32"


def autocast_dtype(arguments: TrainingArguments) -> torch.dtype | None:
    """In which the Trainer has products made while trained parameters are float32; None: in float32."""
    return torch.bfloat16 if arguments.bf16 else torch.float16 if arguments.fp16 else None
