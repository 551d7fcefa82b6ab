"""A run as a script or notebook that trains it again with transformers, PEFT and cdvft, and without the app.

It makes the same calls in the same order as the app's trainer, so that head, adapter, dropout and batches are
the same, and with them the loss of every step on the same machine. The rows lie beside it as Parquet files.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from peft import PeftConfig

from cdvft_app.catalog import Plan
from cdvft_app.catalog.download import Progress, silent
from cdvft_app.catalog.rows import Rows, Split, load_rows
from cdvft_app.results import script_of_writers, script_text
from cdvft_app.results.escaping import docstring, markdown
from cdvft_app.results.export import appearing, pack
from cdvft_app.results.finished_run import FinishedRun
from cdvft_app.results.loading import BASE
from cdvft_app.results.merged import write_base
from cdvft_app.results.requirements import write_requirements
from cdvft_app.tasks import saved
from cdvft_app.training import arguments, schedule

SCRIPT, NOTEBOOK = "train.py", "train.ipynb"
CELL = "# %% "
ABOUT = "trained again without the app.\n\n    pip install -r requirements.txt\n    python train.py\n"
NOT_COMPILED = "with compiled steps, which these are not; their padding draws another dropout"
LEFT_OUT = {
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "peft_type",
    "peft_version",
    "auto_mapping",
}


def write_script(
    run: FinishedRun, notebook: bool, out: Path, progress: Progress = silent, rows: Rows | None = None
) -> None:
    """Write the folder `out` with the script, its rows, and what it needs to run.

    Args:
        run: to be trained again.
        notebook: a notebook in place of a script.
        out: must not be there yet.
        progress: told what is fetched.
        rows: data to take in place of the dataset's.

    Raises:
        ResultsError: why it cannot be done.
    """
    with appearing(out) as folder:
        _write(run, notebook, folder, progress, rows)


def zip_script(run: FinishedRun, notebook: bool, out: Path, progress: Progress = silent) -> None:
    """The same as a zip, with all files in one folder of its name."""
    with appearing(out) as made:
        folder = made.parent / out.stem
        _write(run, notebook, folder, progress, None)
        pack(folder, made)


def _write(run: FinishedRun, notebook: bool, folder: Path, progress: Progress, rows: Rows | None) -> None:
    plan, settings = run.plan, run.plan.settings
    assert settings.train_examples and settings.evaluation_examples
    rows = rows or load_rows(
        plan.dataset,
        train_examples=settings.train_examples,
        evaluation_examples=settings.evaluation_examples,
        seed=settings.seed,
        progress=progress,
    )
    folder.mkdir()
    _write_rows(rows.train, folder / "train.parquet")
    _write_rows(rows.evaluation, folder / "evaluation.parquet")
    task = saved.read(run.folder)
    base, revision = (task.base_model, task.revision) if task else plan.model.base(None)
    if base is None:
        write_base(plan, folder / BASE, progress)
    sized = task is None or task.is_sized
    text = script_text_of(run, rows, base or BASE, revision, sized)
    write_requirements(
        plan.model.kind, folder, with_peft=True, with_library=True, training=True, more=_packages(plan)
    )
    if notebook:
        (folder / NOTEBOOK).write_text(json.dumps(notebook_of(text, run), indent=1), encoding="utf-8")
    else:
        (folder / SCRIPT).write_text(text, encoding="utf-8")


def script_text_of(run: FinishedRun, rows: Rows, base: str, revision: str | None, is_sized: bool) -> str:
    """The script.

    Args:
        run: to be trained again; its folder has PEFT's config.
        rows: that lie beside it.
        base: a hub id or a folder, at `revision`.
        is_sized: whether an image model is told the images' size.
    """
    plan, constants = run.plan, _settings(run, rows, base, revision)
    about = f'"""{docstring(_title(run))}, {ABOUT}"""'
    if plan.model.pooling == "none":
        return script_of_writers.write(
            about=about,
            dataset=plan.dataset,
            method=_method(run),
            settings=constants | _of_writers(plan),
            bits=plan.settings.bits if plan.settings.bits in (4, 8) else None,
        )
    return script_text.write(
        about=about,
        kind=plan.model.kind,
        pooling=plan.model.pooling,
        pairs=not isinstance(rows.train.inputs[0], str),
        metric=plan.dataset.metric,
        method=_method(run),
        settings=constants | _of_classifiers(plan, rows, is_sized),
    )


def _title(run: FinishedRun) -> str:
    plan = run.plan
    title = f"{run.label} on {plan.model.title}: {plan.dataset.title}"
    return f"{title} ({NOT_COMPILED})" if plan.settings.torch_compile else title


def _packages(plan: Plan) -> tuple[str, ...]:
    """What the script of a run needs and others do not."""
    chrf = ("sacrebleu",) if plan.dataset.metric == "chrf" else ()
    return (*chrf, *(("bitsandbytes",) if plan.settings.bits in (4, 8) else ()))


def _of_classifiers(plan: Plan, rows: Rows, is_sized: bool) -> dict[str, Any]:
    """What only their scripts name."""
    own = plan.settings
    image: dict[str, Any] = {"MAX_LENGTH": own.max_length}
    if plan.model.kind == "image":
        image = {"IMAGE_SIZE": own.image_size, "SIZED": {"img_size": own.image_size} if is_sized else {}}
    return {
        "LABELS": list(rows.labels),
        **image,
        "HEAD_LEARNING_RATE": arguments.head_learning_rate(plan),
    }


def _of_writers(plan: Plan) -> dict[str, Any]:
    own = plan.settings
    return {
        "INSTRUCTION": plan.dataset.instruction,
        "MAX_LENGTH": own.max_length,
        "GRADIENT_ACCUMULATION": own.gradient_accumulation or 1,
        "GRADIENT_CHECKPOINTING": own.gradient_checkpointing,
        "PRECISION": own.precision,
        "HALF": own.precision == "bfloat16" and own.method.key != "full",
    }


def _settings(run: FinishedRun, rows: Rows, base: str, revision: str | None) -> dict[str, Any]:
    """The constants that stand at the top of every script."""
    own = run.plan.settings
    steps = run.record.total_steps or schedule.total_steps(own, len(rows.train))
    return {
        "BASE": base,
        "REVISION": revision,
        "SEED": own.seed,
        "STEPS": steps,
        "WARMUP_STEPS": math.ceil(own.warmup_ratio * steps),
        "SCHEDULE": "constant_with_warmup" if own.schedule == "constant" else own.schedule,
        "BATCH_SIZE": own.batch_size,
        "LEARNING_RATE": own.method.learning_rate,
        "WEIGHT_DECAY": own.weight_decay,
    }


def _method(run: FinishedRun) -> str:
    """What stands for the method in the script: "head", "full", or the call that makes PEFT's config."""
    if run.weights != "adapter":
        return run.record.method
    config = PeftConfig.from_pretrained(str(run.folder))
    options: Mapping[str, Any] = {
        field.name: value
        for field in dataclasses.fields(config)
        if field.name not in LEFT_OUT and (value := getattr(config, field.name)) != _default(field)
    }
    keywords = [
        f"{key}={sorted(value) if isinstance(value, set) else value!r}" for key, value in options.items()
    ]
    return f"{type(config).__name__}({', '.join(keywords)})"


def _default(field: dataclasses.Field[Any]) -> Any:
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def _write_rows(split: Split, file: Path) -> None:
    from datasets import Dataset, Image
    from PIL.Image import fromarray

    inputs = [split.inputs[place] for place in range(len(split))]
    labels = split.labels.tolist()
    if isinstance(inputs[0], str):
        columns: dict[str, Any] = {"text": inputs}
    elif isinstance(inputs[0], tuple | list):
        columns = {"text": [one for one, _ in inputs], "second": [two for _, two in inputs]}
    else:
        columns = {"image": [fromarray(one) if isinstance(one, np.ndarray) else one for one in inputs]}
    made = Dataset.from_dict({**columns, "labels": labels})
    (made.cast_column("image", Image()) if "image" in columns else made).to_parquet(file)


def notebook_of(text: str, run: FinishedRun) -> dict[str, Any]:
    """Jupyter's format 4: the script's docstring as Markdown, then a cell for each of its parts."""
    end_of_docstring = ast.parse(text).body[0].end_lineno
    start, *parts = "\n".join(text.split("\n")[end_of_docstring:]).split(f"\n{CELL}")
    about = f"{markdown(_title(run))}, {ABOUT}"
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "id": "0", "metadata": {}, "source": about.strip()}
    ]
    for place, part in enumerate([f"Libraries\n{start.strip()}", *parts], 1):
        heading, _, code = part.partition("\n")
        cells.append({"cell_type": "markdown", "id": f"{place}m", "metadata": {}, "source": f"## {heading}"})
        cells.append(
            {"cell_type": "code", "id": f"{place}c", "metadata": {}, "execution_count": None, "outputs": [],
             "source": code.strip()}
        )  # fmt: skip
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
