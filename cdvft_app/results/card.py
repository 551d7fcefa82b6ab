"""The model card of an exported folder, from one template.

Its lines of Python load the folder with what its requirements.txt names, without the app.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from cdvft_app.catalog.cleaning import title
from cdvft_app.format import amount, counted
from cdvft_app.metrics import get_metric, metric_title
from cdvft_app.results.escaping import markdown, one_line
from cdvft_app.results.finished_run import BASE, FinishedRun, Weights
from cdvft_app.tasks.saved import TaskRecord

TEMPLATE = Path(__file__).parent / "templates" / "card.md.jinja"
OUTPUT_CLASS = "It predicts one of: {labels}."
OUTPUT_TEXT, OUTPUT_NUMBER = "It generates text.", "It predicts a number."
BASE_BESIDE = "in `{folder}/` ({size})"
ONE_RUN = "{seed}. This is one run; another seed gives another score."
BEST_STEP = "{step:,} of {steps:,}, the best on validation rows"
VALIDATION = "{value} on validation rows, by which settings were chosen"
SCORE = "{value}{interval} on {rows}"


@dataclass(frozen=True)
class Exported:
    """The content of an exported folder, from which its card and its requirements follow.

    Attributes:
        run: The exported run.
        task: The meaning of the model's outputs.
        weights: An adapter or a head, which need a base model, or a whole model.
        about: A sentence on what it is.
        is_as_trained: Whether the weights are those of the run's own method.
        is_merged: Whether they are merged into one plain model.
    """

    run: FinishedRun
    task: TaskRecord
    weights: Weights
    about: str
    is_as_trained: bool = False
    is_merged: bool = False

    @property
    def is_cdvft(self) -> bool:
        return self.is_as_trained and self.run.record.method == "cdvft"

    @property
    def needs_library(self) -> bool:
        """Whether loading needs `cdvft`: for its adapters, and for heads on the mean."""
        return not self.is_merged and (self.is_cdvft or self.task.pooling == "mean")

    @property
    def is_encoder(self) -> bool:
        """Whether it is a folder of sentence-transformers."""
        return self.is_merged and self.task.pooling == "mean"

    @property
    def with_base_beside(self) -> Exported:
        """Return the same content with its base model in the folder."""
        return replace(self, task=self.task.model_copy(update={"base_model": None, "revision": None}))

    @property
    def library(self) -> str:
        """The library that loads it, as the Hub names it."""
        if self.weights == "adapter":
            return "peft"
        if self.task.task == "image-classification":
            return "timm"
        return "sentence-transformers" if self.is_encoder else "transformers"


def card(exported: Exported, base_bytes: int = 0) -> ModelCard:
    """Return the card; `base_bytes` is the size of the base model in the folder, 0 without one."""
    run, task = exported.run, exported.task
    plan, kind = run.plan, run.plan.model.kind
    heading = f"{run.label} on {plan.model.title}: {plan.dataset.title}"
    text = OUTPUT_TEXT if task.head is None else OUTPUT_NUMBER
    if task.labels:
        text = OUTPUT_CLASS.format(labels=", ".join(map(markdown, task.labels)))
    where = markdown(task.base_model or "")
    if base_bytes:
        where = BASE_BESIDE.format(folder=BASE, size=amount("bytes", base_bytes))
    base = [markdown(plan.model.title), where, task.revision and f"revision {markdown(task.revision)}"]
    source = plan.dataset.location if plan.dataset.source == "hub" else ""
    rows = run.record.result.get("train_examples")
    data = [markdown(plan.dataset.title), markdown(source), rows and counted(rows, "training example")]
    steps = plan.dataset.uploaded.clean if plan.dataset.uploaded else ()
    auto_class = "AutoModelForCausalLM" if kind == "generation" else "AutoModelForSequenceClassification"
    return ModelCard.from_template(
        _metadata(exported, heading),
        template_str=TEMPLATE.read_text(encoding="utf-8"),
        heading=markdown(heading),
        about=exported.about,
        output=text,
        kind=kind,
        weights="whole" if exported.is_merged else exported.weights,
        pooling=task.pooling,
        auto_class="MeanPooledForSequenceClassification" if task.pooling == "mean" else auto_class,
        needs_library=exported.needs_library,
        is_encoder=exported.is_encoder,
        has_base=bool(base_bytes),
        has_labels=bool(task.labels),
        rows=_rows(run),
        base=", ".join([*filter(None, base), f"license {markdown(plan.model.licence)}"]),
        data=", ".join([*filter(None, data), f"license {markdown(plan.dataset.licence)}"]),
        cleaning="; ".join(f"{markdown(step)} ({markdown(title(step))})" for step in steps),
        settings=json.dumps(plan.settings.model_dump(mode="json", exclude_none=True), indent=2),
    )


def _metadata(exported: Exported, heading: str) -> ModelCardData:
    run, task = exported.run, exported.task
    record, dataset = run.record, run.plan.dataset
    base, location = one_line(task.base_model or "") or None, one_line(dataset.location)
    tags = []
    if exported.weights == "adapter":
        tags = ["peft", *(["cdvft"] if exported.is_cdvft else [])]
        tags += [f"base_model:adapter:{base}"] if base else []
    results = None
    if record.metric is not None and record.metric_name is not None and not _is_trial(run):
        results = [
            EvalResult(
                task_type=task.task,
                dataset_type=location,
                dataset_name=one_line(dataset.title),
                metric_type=record.metric_name,
                metric_value=round(record.metric, 4),
            )
        ]
    return ModelCardData(
        base_model=base,
        datasets=[location] if dataset.source == "hub" else None,
        library_name=exported.library,
        metrics=[record.metric_name] if record.metric_name else None,
        pipeline_tag=task.task,
        tags=tags or None,
        model_name=one_line(heading) if results else None,
        eval_results=results,
    )


def _is_trial(run: FinishedRun) -> bool:
    """Return whether its score is on rows by which settings are chosen, and so too high for new ones."""
    return run.record.settings.evaluate_on == "validation"


def _rows(run: FinishedRun) -> list[tuple[str, str]]:
    record, result = run.record, run.record.result
    rows: list[tuple[str, str]] = []
    if record.metric is not None and record.metric_name is not None:
        metric, count = get_metric(record.metric_name), result.get("evaluation_examples")
        value, error = metric.format(record.metric), metric.standard_error(record.metric, count or 0)
        interval = ""
        if count and error is not None:
            low, high = record.metric - 1.96 * error, record.metric + 1.96 * error
            low, high = max(low, metric.range[0]), min(high, metric.range[1])
            interval = f" (95% CI {metric.format(low)} to {metric.format(high)})"
        examples = counted(count, "evaluation example") if count else "evaluation examples"
        score = SCORE.format(value=value, interval=interval, rows=examples)
        score = VALIDATION.format(value=value) if _is_trial(run) else score
        rows.append((metric_title(record.metric_name), score))
    if best := result.get("best_step"):
        rows.append(("Checkpoint", BEST_STEP.format(step=best, steps=record.total_steps or best)))
    rows.append(("Seed", ONE_RUN.format(seed=record.settings.seed)))
    if record.trainable_parameters is not None:
        head = f" and {result['head_parameters']:,} of the head" if result.get("head_parameters") else ""
        rows.append(("Trainable parameters", f"{record.trainable_parameters:,}{head}"))
    if record.seconds:
        steps, device = counted(record.step, "step"), markdown(str(record.device))
        rows.append(("Training time", f"{amount('seconds', record.seconds)} for {steps} on {device}"))
    for name, key in (("Peak memory", "peak_memory_bytes"), ("Size of the weights", "adapter_bytes")):
        if result.get(key):
            rows.append((name, amount("bytes", result[key])))
    if record.state == "stopped":
        rows.append(("State", f"stopped at step {record.step:,}"))
    return rows
