"""What is kept beside a run's weights, so that they can be used elsewhere: labels, base, preprocessing."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cdvft_app.catalog import Plan
from cdvft_app.tasks.base import Task

FILE = "task.json"
ADAPTER_CONFIG = "adapter_config.json"
MEAN_POOLED = {
    "base_model_class": "MeanPooledForSequenceClassification",
    "parent_library": "cdvft.mean_pooled",
}


class TaskRecord(BaseModel):
    """The meaning of the outputs, and the model that they are of.

    `task` is as the hub names it. `labels` are in the order of the outputs, empty for a regression.
    `base_model` and `revision` say where the pretrained weights come from, None where nobody else can fetch
    them. `head` is the name of the head's module, None without one. `is_sized`: timm builds the model for
    `image_size`. `instruction` and `fields` are of answers that are written. A regression's number is the
    output times `deviation` plus `mean`.
    """

    model_config = ConfigDict(frozen=True)

    task: str
    labels: tuple[str, ...]
    base_model: str | None
    revision: str | None
    pooling: str
    head: str | None
    max_length: int | None
    image_size: int | None
    is_sized: bool = True
    instruction: str = ""
    fields: tuple[str, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def is_scaled(self) -> bool:
        """Whether its numbers are not its outputs."""
        return (self.mean, self.deviation) != (0.0, 1.0)


def describe(task: Task, plan: Plan) -> TaskRecord:
    """Return the record of a run's task."""
    base_model, revision = plan.model.base(task.commit)
    mean, deviation = plan.label_scale
    return TaskRecord(
        task=task.name,
        labels=task.labels,
        base_model=base_model,
        revision=revision,
        pooling=plan.model.pooling,
        head=task.head,
        max_length=plan.settings.max_length,
        image_size=plan.settings.image_size,
        is_sized=getattr(task, "is_sized", True),
        instruction=plan.dataset.instruction,
        fields=plan.dataset.fields,
        mean=mean,
        deviation=deviation,
    )


def save(task: Task, plan: Plan, folder: Path) -> None:
    """Write a `TaskRecord`, and how inputs are prepared, beside the weights."""
    record = describe(task, plan)
    (folder / FILE).write_text(record.model_dump_json(indent=2), encoding="utf-8")
    task.save_config(folder, whole=plan.settings.method.key == "full")
    name_base_class(record, folder)


def name_base_class(record: TaskRecord, folder: Path) -> None:
    """Say in an adapter's config which class its base model has, where the Auto classes have another.

    With a `task_type` PEFT would build transformers' own classifier, and none of the adapter's names would be
    found in it. With `auto_mapping` alone `AutoPeftModel.from_pretrained(folder, import_allowlist=["cdvft"])`
    builds what was trained.
    """
    file = folder / ADAPTER_CONFIG
    if record.pooling == "mean" and file.is_file():
        config = json.loads(file.read_text(encoding="utf-8"))
        config |= {"task_type": None, "auto_mapping": MEAN_POOLED}
        file.write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")


def read(folder: Path) -> TaskRecord | None:
    """Return what `save` wrote; None in a folder from before there was such a file."""
    file = folder / FILE
    return TaskRecord.model_validate_json(file.read_text(encoding="utf-8")) if file.is_file() else None
