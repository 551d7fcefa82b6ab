"""Export a run as a training script: a template of results/templates, its settings, and its rows."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdvft_app.catalog.conversations import messages_of
from cdvft_app.catalog.dataset_readers import Rows, Split, load_rows
from cdvft_app.metrics import get_metric
from cdvft_app.progress import Progress
from cdvft_app.results.finished_run import BASE, FinishedRun
from cdvft_app.results.requirements import write_requirements

if TYPE_CHECKING:
    from cdvft_app.catalog import Plan

SCRIPT, SETTINGS, PEFT_CONFIG = "train.py", "settings.json", "peft_config"
TEMPLATES = Path(__file__).parent / "templates"


def write_script(run: FinishedRun, folder: Path, rows: Rows | None, progress: Progress) -> None:
    """Write the folder with the script, its settings, its rows, and its requirements.

    Args:
        run: The run to train again.
        folder: Must not exist.
        rows: Replace the rows of the run's dataset.
        progress: Receives what is fetched.
    """
    import numpy as np
    from datasets import Dataset, Image
    from PIL.Image import fromarray

    from cdvft_app.results.weights import write_base
    from cdvft_app.tasks import saved

    plan, settings = run.plan, run.plan.settings
    assert settings.train_examples and settings.evaluation_examples
    rows = rows or load_rows(
        plan.dataset, train_examples=settings.train_examples,
        evaluation_examples=settings.evaluation_examples, seed=settings.seed,
        validation=settings.evaluate_on == "validation", progress=progress,
    )  # fmt: skip
    is_causal = plan.model.kind == "generation"

    def write_rows(split: Split, name: str) -> None:
        inputs = [split.inputs[place] for place in range(len(split))]
        if is_causal:
            columns: dict[str, Any] = {
                "messages": list(map(messages_of, inputs)),
                "answer": list(split.labels),
            }
        elif isinstance(inputs[0], str):
            columns = {"text": inputs, "labels": split.labels.tolist()}
        elif isinstance(inputs[0], tuple | list):
            first, second = zip(*inputs, strict=True)
            columns = {"text": list(first), "second": list(second), "labels": split.labels.tolist()}
        else:
            images = [fromarray(one) if isinstance(one, np.ndarray) else one for one in inputs]
            columns = {"image": images, "labels": split.labels.tolist()}
        made = Dataset.from_dict(columns)
        made = made.cast_column("image", Image()) if "image" in columns else made
        made.to_parquet(folder / f"{name}.parquet")

    folder.mkdir()
    write_rows(rows.train, "train")
    write_rows(rows.evaluation, "evaluation")
    task = saved.read(run.folder)
    base, revision = (task.base_model, task.revision) if task else plan.model.base(None)
    if base is None or plan.model.source != "hub":
        base, revision = BASE, None
        write_base(plan, folder / BASE, progress)
    values = script_settings(run, rows) | {"base": base, "revision": revision}
    if plan.model.kind == "image":
        is_sized = task is None or task.is_sized
        values |= {"sized": {"img_size": settings.image_size} if is_sized else {}}
    (folder / SETTINGS).write_text(json.dumps(values, indent=2), encoding="utf-8")
    if run.weights == "adapter":
        config = json.loads((run.folder / saved.ADAPTER_CONFIG).read_text(encoding="utf-8"))
        config |= {"base_model_name_or_path": base, "revision": revision, "inference_mode": False}
        (folder / PEFT_CONFIG).mkdir()
        (folder / PEFT_CONFIG / saved.ADAPTER_CONFIG).write_text(json.dumps(config), encoding="utf-8")
    template = "train_causal_lm.py" if is_causal else "train_classifier.py"
    shutil.copyfile(TEMPLATES / template, folder / SCRIPT)
    bits = ("bitsandbytes",) if settings.bits in (4, 8) else ()
    packages = get_metric(plan.dataset.metric).packages
    write_requirements(
        plan.model.kind, folder, with_peft=True, with_library=True, training=True, more=(*packages, *bits)
    )


def script_settings(run: FinishedRun, rows: Rows) -> dict[str, Any]:
    """Return what the template reads; `arguments` are those of transformers.TrainingArguments."""
    from cdvft_app.tasks.generation import PLAIN_TEMPLATE

    plan, own = run.plan, run.plan.settings
    values: dict[str, Any] = {
        "method": run.weights if run.weights != "whole" else "full",
        "metric": plan.dataset.metric,
        "max_length": own.max_length,
        "learning_rates": learning_rates(plan, run),
        "arguments": training_arguments(run, len(rows.train)),
    }
    if plan.model.kind == "generation":
        return values | {
            "instruction": plan.dataset.instruction,
            "answer_mark": plan.dataset.answer_mark,
            "chat_template": PLAIN_TEMPLATE,
            "bits": own.bits,
            "half": own.precision == "bfloat16" and own.method.key != "full",
        }
    return values | {
        "pooling": plan.model.pooling,
        "outputs": len(rows.labels) or 1,
        "labels": list(rows.labels),
        "label_scale": list(plan.label_scale),
        "image_size": own.image_size,
        "head": head_of(run),
    }


def head_of(run: FinishedRun) -> str | None:
    from cdvft_app.tasks import saved

    task = saved.read(run.folder)
    return task.head if task else "classifier"


def learning_rates(plan: Plan, run: FinishedRun) -> dict[str, float]:
    """Return the learning rate of the parameters that match a pattern; the first match counts."""
    from cdvft_app.training.loop import head_learning_rate

    method, rates = plan.settings.method, {}
    assert method.learning_rate
    if plan.model.kind != "generation":
        rates[rf"(^|\.){head_of(run)}\."] = head_learning_rate(plan)
    rates |= {pattern: method.learning_rate * ratio for pattern, ratio in method.lr_ratios().items()}
    return rates | {"": method.learning_rate}


def training_arguments(run: FinishedRun, examples: int) -> dict[str, Any]:
    """Return the arguments of a Trainer that ends where the run's weights were kept."""
    from cdvft_app.training import schedule

    own = run.plan.settings
    parts = own.gradient_accumulation or 1
    steps = run.record.total_steps or schedule.total_steps(own, examples)
    return {
        "max_steps": run.record.result.get("best_step") or run.record.step or steps,
        "per_device_train_batch_size": schedule.examples_at_once(own),
        "gradient_accumulation_steps": parts,
        "gradient_checkpointing": own.gradient_checkpointing,
        "lr_scheduler_type": "constant_with_warmup" if own.schedule == "constant" else own.schedule,
        "warmup_steps": math.ceil(own.warmup_ratio * steps),
        "learning_rate": own.method.learning_rate,
        "weight_decay": own.weight_decay,
        "adam_beta1": own.adam_beta1,
        "bf16": own.precision == "bfloat16",
        "seed": own.seed,
        "save_strategy": "no",
        "label_names": ["labels"],
        "remove_unused_columns": False,
        "report_to": "none",
    }
