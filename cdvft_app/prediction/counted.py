"""A plan's steps, FLOPs, parameters and bytes by formula, which depend on no machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from cdvft import cost
from cdvft_app.catalog import Plan
from cdvft_app.costs.memory import FLOAT32, StoragePrecision
from cdvft_app.costs.request import CostRequest
from cdvft_app.costs.table import cost_table
from cdvft_app.metrics import get_metric
from cdvft_app.shapes import ModelShapes, model_shapes
from cdvft_app.training import schedule

WRITTEN = 3.0
"""An evaluation with answers written takes as long as so many that only read them."""
_UNKNOWN_LABELS = 2  # where the data will say how many classes: they hardly change FLOPs and memory
_BACKBONE_PREFIXES = {"mean": "backbone.", "cls": "roberta.", "timm": "", "none": ""}
"""The prefix of a layer's name in the trained model, by the model's `pooling`."""


@dataclass(frozen=True)
class Counted:
    """What is counted of a run.

    `adapter_bytes` are the file's, with the classifier head, if there is one, where `head_in_file` (its size
    is unknown as long as the number of classes is). FLOPs are the model's and the method's together: of one
    step, of all steps, of all evaluations, and of the last of these. `step_bytes` are one process's for its
    largest step, without the program itself.
    """

    steps: int
    trainable_parameters: int
    adapter_bytes: int
    head_in_file: bool
    step_flops: int
    training_flops: int
    evaluation_flops: int
    final_evaluation_flops: int
    step_bytes: int
    processes: int


def count(plan: Plan, processes: int | None = None) -> Counted | None:
    """None for a model whose layers are unknown until it is loaded, or see different numbers of tokens.

    So many processes share each batch; None: as many as a launcher started.

    Texts count the dataset's mean number of tokens, and its longest text for memory; where these are not
    known, `max_length` stands for both, which is too much rather than too little.
    """
    settings = plan.settings
    parameters = plan.trainable_parameters()
    if not plan.model.layers or parameters is None or not plan.model.is_countable:
        return None
    assert settings.batch_size and settings.train_examples and settings.evaluation_examples
    shapes = model_shapes(plan.model.key, settings.image_size)
    examples = settings.train_examples
    steps = schedule.total_steps(settings, examples, processes)
    step = _cost(plan, min(settings.batch_size, examples), plan.dataset.mean_tokens)
    share = schedule.examples_at_once(settings, processes)
    largest = _cost(plan, min(share, examples), plan.dataset.max_tokens)
    forward = step["frozen_forward_flops_per_step"] / step["batch"]
    if settings.method.key != "full":  # whose own FLOPs are gradients of weights
        forward += step["forward_flops_per_step"] / step["batch"]
    evaluation = settings.evaluation_examples * forward
    final = evaluation * (WRITTEN if plan.model.kind == "generation" else 1)
    head = _head(plan)
    return Counted(
        steps=steps,
        trainable_parameters=parameters,
        adapter_bytes=_file_bytes(plan, shapes, head),
        head_in_file=bool(head) or plan.model.pooling == "none",
        step_flops=step["total_flops_per_step"],
        training_flops=steps * step["total_flops_per_step"],
        evaluation_flops=round((schedule.evaluations(steps) - 1) * evaluation + final),
        final_evaluation_flops=round(final),
        step_bytes=largest["step_bytes"],
        processes=processes or schedule.processes(),
    )


def _cost(plan: Plan, batch: int, tokens: int | None) -> dict[str, Any]:
    """One step's row of the cost table, with texts of so many tokens."""
    settings = plan.settings
    longest = settings.max_length
    writes = plan.model.kind == "generation"  # others are neither held in fewer bits nor checkpointed
    precision = (
        StoragePrecision(settings.bits or 32, half=settings.precision == "bfloat16") if writes else FLOAT32
    )
    request = CostRequest(
        model=plan.model.key,
        targets=settings.target_modules,
        methods=(settings.method,),
        batch=batch,
        sequence=longest and min(tokens or longest, longest),
        image_size=settings.image_size,
        labels=_outputs(plan) or _UNKNOWN_LABELS,
        gradient_checkpointing=writes and settings.gradient_checkpointing,
    )
    return cost_table(request, precision)[0]


def _outputs(plan: Plan) -> int | None:
    """Of the head: a regression has one, classes are as many as their names."""
    return 1 if get_metric(plan.dataset.metric).regression else len(plan.dataset.labels) or None


def _head(plan: Plan) -> tuple[cost.Shape, ...]:
    """The head's layers under their full names; empty while the number of classes is unknown."""
    outputs, width = _outputs(plan), plan.model.hidden_size
    if outputs is None or width is None:
        return ()
    if plan.model.pooling == "cls":
        return (
            cost.Shape("classifier.dense", width, width, bias=True, pooled=True),
            cost.Shape("classifier.out_proj", outputs, width, bias=True, pooled=True),
        )
    name = "head" if plan.model.pooling == "timm" else "classifier"
    return (cost.Shape(name, outputs, width, bias=True, pooled=True),)


def _file_bytes(plan: Plan, shapes: ModelShapes, head: tuple[cost.Shape, ...]) -> int:
    """The size of what is kept of the run, the safetensors header included."""
    settings = plan.settings
    if settings.method.key == "head":
        return cost.estimate("head", head, batch=1, sequence=1).adapter_bytes if head else 0
    if settings.method.key == "full":
        layers, others = (*shapes.layers, *shapes.convolutions), shapes.other_parameters
    else:
        layers, others = shapes.select(settings.target_modules or ()), 0
    prefix = _BACKBONE_PREFIXES[plan.model.pooling]
    return settings.method.estimate(
        [replace(layer, name=prefix + layer.name) for layer in layers],
        batch=1,
        sequence=1,
        other_parameters=others,
        saved_besides=head,
    ).adapter_bytes
