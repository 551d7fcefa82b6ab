"""A run's forecast: what is counted, times or beside what is learned from earlier runs; and refusal by it.

Refused are steps that are too large, runs that are too long, and those whose packages are missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cdvft import cost
from cdvft_app.catalog import Plan
from cdvft_app.catalog.backbones import missing_package
from cdvft_app.costs.request import FLOAT32, CostRequest, StoragePrecision
from cdvft_app.costs.table import cost_table
from cdvft_app.format import counted, duration
from cdvft_app.metrics import get_metric
from cdvft_app.prediction.observations import (
    MANY_STEPS,
    Estimate,
    Observation,
    estimate,
    observed_runs,
    observed_steps,
    same_magnitude,
    settings_of,
)
from cdvft_app.settings import InvalidChoice, RunSettings
from cdvft_app.shapes import ModelShapes, backbone_shapes, model_shapes
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.training import calibration, schedule
from cdvft_app.training.device import cpu_threads, device_name, kind_of_training, knows_lent_gpu, total_bytes

WRITING_FACTOR = 3.0
"""An evaluation with answers written takes as long as so many that only read them."""
_UNKNOWN_LABELS = 2  # where the data will say how many classes: they hardly change FLOPs and memory
_BACKBONE_PREFIXES = {"mean": "backbone.", "cls": "roberta.", "timm": "", "none": ""}
"""The prefix of a layer's name in the trained model, by the model's `pooling`."""


@dataclass(frozen=True)
class ResourceCounts:
    """The parameters, bytes and FLOPs of a run that follow from its plan by formula.

    `adapter_bytes` are the file's, with the classifier head, if there is one, where `head_in_file` (its size
    is unknown as long as the number of classes is). FLOPs are the model's and the method's together: of one
    step, of all steps, of all `evaluations`, and of those after the last step, which count as one.
    `step_bytes` are one process's for its largest step, without the program itself.
    """

    steps: int
    trainable_parameters: int
    adapter_bytes: int
    head_in_file: bool
    step_flops: int
    training_flops: int
    evaluations: int
    evaluation_flops: int
    final_evaluation_flops: int
    step_bytes: int


def count(plan: Plan) -> ResourceCounts | None:
    """Count what a run needs; None for a model whose layers are unknown until it is loaded, or see different
    numbers of tokens.

    Texts count the dataset's mean number of tokens, and its longest text for memory; where these are not
    known, `max_length` stands for both, which is too much rather than too little.

    Raises:
        InvalidChoice: the method cannot adapt layers of this kind.
    """
    settings = plan.settings
    parameters = plan.trainable_parameters()
    if not plan.model.layers or parameters is None or not plan.model.is_countable:
        return None
    assert settings.batch_size and settings.train_examples and settings.evaluation_examples
    shapes = (model_shapes if plan.model.kind == "generation" else backbone_shapes)(
        plan.model.key, settings.image_size
    )
    examples = settings.train_examples
    steps = schedule.total_steps(settings, examples)
    step = _cost(plan, min(settings.batch_size, examples), plan.dataset.mean_tokens)
    share = schedule.examples_at_once(settings)
    largest = _cost(plan, min(share, examples), plan.dataset.max_tokens)
    forward = step["frozen_forward_flops_per_step"] / step["batch"]
    if settings.method.key != "full":  # whose own FLOPs are gradients of weights
        forward += step["forward_flops_per_step"] / step["batch"]
    evaluation = settings.evaluation_examples * forward
    final = evaluation * (WRITING_FACTOR if plan.model.kind == "generation" else 1)
    times = schedule.evaluations(settings, steps) - 1
    if plan.validation_examples:  # what is kept and the last step are evaluated in the end
        times, evaluation, final = times + 1, plan.validation_examples * forward, 2 * final
    head = _head(plan)
    return ResourceCounts(
        steps=steps,
        trainable_parameters=parameters,
        adapter_bytes=_file_bytes(plan, shapes, head),
        head_in_file=bool(head) or plan.model.pooling == "none",
        step_flops=step["total_flops_per_step"],
        training_flops=steps * step["total_flops_per_step"],
        evaluations=times + 1,
        evaluation_flops=round(times * evaluation + final),
        final_evaluation_flops=round(final),
        step_bytes=largest["step_bytes"],
    )


def _cost(plan: Plan, batch: int, tokens: int | None) -> dict[str, Any]:
    """Return one step's row of the cost table, with texts of so many tokens."""
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
    (row,) = cost_table(request, precision, read_by_head=not writes)
    if row["unavailable"]:
        raise InvalidChoice(f"{row['unavailable']} Choose another method.")
    return row


def _outputs(plan: Plan) -> int | None:
    """Return the number of the head's outputs: 1 for a regression, else that of the classes' names, if they
    are known."""
    return 1 if get_metric(plan.dataset.metric).regression else len(plan.dataset.labels) or None


def _head(plan: Plan) -> tuple[cost.Shape, ...]:
    """Return the head's layers under their full names; empty while the number of classes is unknown."""
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
    """Return the size of what is kept of the run, the safetensors header included."""
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


# Nine runs of both offline recipes on a CPU, whose steps came to 0.1 to 3.5 GB by formula, had 1.13 times as
# much and 0.6 GB at their peak, to within 10 %; a page in the same process adds to the latter. In 8 bit with
# gradient checkpointing a process grew by up to 1.39 times as much (SmolLM2-135M on an Intel Xeon).
MEMORY_FACTOR = Estimate(1.13, 1.0, 1.4, "and 13 % on top, as measured")
# While no run has ended on a CPU. Both offline recipes by three methods made 119 to 152 GFLOP/s with 2
# threads of one idle machine (x86-64); loading took 1 to 4 s, and 10 s more where libraries came first.
_RATE, _ROUGHLY = 65e9, 3.0
# While no run has ended on a GPU that is lent by the second, whose seconds are to be known beforehand: no
# faster than an H100 by its data sheet (67 TFLOP/s in float32), no slower than those 2 threads.
_SHEET, _TWO_THREADS = 67e12, 130e9
GUESS_OF_GPU = "a guess between a data sheet and 2 threads of a CPU, as nothing has ended on this GPU yet"
_COMPARABLE = 1000.0  # a step so many times smaller is mostly overhead: its pace is not a larger one's
_LAYER_AWAY = 2.0
_CALIBRATED = "by two seconds of one layer that were measured here, as nothing like it has ended here yet"
_ROUGH_GUESS = "a rough guess from another machine, as nothing like it has ended here yet"
_LOADING = Estimate(4.0, 1.0, 30.0, _ROUGH_GUESS)
_PROGRAM = Estimate(0.7e9, 0.5e9, 1.2e9, _ROUGH_GUESS)


@dataclass(frozen=True)
class Evaluating:
    """How often a run is evaluated, and the seconds of one evaluation and of the last one."""

    times: int
    seconds: float
    last_seconds: float


@dataclass(frozen=True)
class Prediction:
    """A run's forecast, as the page shows it before the run and the store keeps it.

    `seconds` are those of training steps alone, as `Done` measures them; `whole_seconds` go from the first
    loading to the end, with evaluations, which `evaluating` has by themselves. All three are None on a GPU of
    one's own on which nothing has run or been measured.
    """

    device: str
    counted: ResourceCounts
    trainable_parameters: Estimate
    adapter_bytes: Estimate
    seconds: Estimate | None
    whole_seconds: Estimate | None
    peak_memory_bytes: Estimate
    evaluating: Evaluating | None

    @property
    def step_bytes(self) -> Estimate:
        """The bytes of one step, beside the program itself."""
        return MEMORY_FACTOR.scaled(self.counted.step_bytes)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON holds it, for the store."""
        return asdict(self)


def predict(
    plan: Plan,
    finished: Iterable[RunRecord],
    measured: Iterable[Mapping[str, Any]] = (),
) -> Prediction | None:
    """Return what a run will take here; None for a model whose layers are unknown until it is loaded.

    Args:
        plan: the run.
        finished: runs that ended, latest first; those of this device count.
        measured: step times, as the store keeps them; those of this device count too.
    """
    counts = count(plan)
    if counts is None:
        return None
    kind = kind_of_training()
    device = device_name(kind)
    observations = observed_runs(finished, device, MEMORY_FACTOR.value)
    steps = _measured(measured, device)
    rough = _rough_pace(cpu_threads()) if kind == "cpu" else _pace_of_lent_gpu()
    pace = _pace(plan.settings, [*observations, *steps], counts.step_flops, counts.steps, rough)
    overhead = estimate(
        plan.settings,
        observations,
        lambda other: other.overhead(counts.evaluation_flops),
        lambda other: same_magnitude(counts.evaluation_flops, other.evaluation_flops),
    )
    program = estimate(
        plan.settings,
        observations,
        Observation.program_memory,
        lambda other: same_magnitude(counts.step_flops, other.step_flops),
    ) or (_PROGRAM if kind == "cpu" else Estimate(0, 0, 0, "none"))
    seconds = pace and _seconds(counts, pace)
    return Prediction(
        device=device,
        counted=counts,
        trainable_parameters=_exact(counts.trainable_parameters, "Counted by formula: exact."),
        adapter_bytes=_file(plan, counts),
        seconds=seconds,
        whole_seconds=pace and seconds and _whole(seconds, overhead or _rough_overhead(counts, pace)),
        peak_memory_bytes=_peak(counts, program),
        evaluating=_evaluating(counts, pace) if pace else None,
    )


def step_seconds(
    row: Mapping[str, Any], finished: Iterable[RunRecord], measured: Iterable[Mapping[str, Any]]
) -> Estimate | None:
    """Return the seconds of a step of a cost table's row here; None where nothing like it ran or was
    measured.

    As if its memory were there; see `predict`.
    """
    kind = kind_of_training()
    device = device_name(kind)
    observations = [*observed_runs(finished, device, MEMORY_FACTOR.value), *_measured(measured, device)]
    flops = row["total_flops_per_step"]
    pace = _pace(settings_of(row), observations, flops, MANY_STEPS, None)
    return pace and pace.scaled(flops)


def _measured(results: Iterable[Mapping[str, Any]], device: str) -> list[Observation]:
    return observed_steps(result for result in results if result["device"] == device)


def _pace(
    settings: RunSettings,
    observations: Sequence[Observation],
    step_flops: float,
    steps: int,
    rough: Estimate | None,
) -> Estimate | None:
    """Return the seconds a FLOP; `rough` where nothing is known, or only runs so unlike this one that it is
    closer."""

    def same_pace(other: Observation) -> bool:
        many = min(steps, other.steps) >= MANY_STEPS
        return same_magnitude(step_flops, other.step_flops) and (many or same_magnitude(steps, other.steps))

    comparable = [one for one in observations if step_flops < _COMPARABLE * one.step_flops]
    learned = estimate(settings, comparable, Observation.seconds_per_flop, same_pace)
    measured_here = rough is not None and rough.how == _CALIBRATED
    if learned and rough and measured_here and learned.high * rough.low > rough.high * learned.low:
        return rough
    return learned or rough


def _exact(value: float, how: str) -> Estimate:
    return Estimate(value, value, value, how)


def _rough_pace(threads: int) -> Estimate:
    """Return the seconds a FLOP on a CPU; those of a GPU of one's own are unknown until something has run or
    been measured on it."""
    if calibrated := calibration.measured_pace():
        return Estimate(calibrated, calibrated / _LAYER_AWAY, calibrated * _LAYER_AWAY, _CALIBRATED)
    pace = 1 / (_RATE * threads)
    return Estimate(pace, pace / _ROUGHLY, pace * _ROUGHLY, _ROUGH_GUESS)


def _pace_of_lent_gpu() -> Estimate | None:
    """Return the seconds a FLOP on a GPU that is lent; None for any other GPU, which costs nobody a quota."""
    if not knows_lent_gpu():
        return None
    middle = 1 / math.sqrt(_SHEET * _TWO_THREADS)
    return Estimate(middle, 1 / _SHEET, 1 / _TWO_THREADS, GUESS_OF_GPU)


def _file(plan: Plan, counts: ResourceCounts) -> Estimate:
    size = counts.adapter_bytes
    if not counts.head_in_file:
        return _exact(
            size, "The adapter's file, without the head: how many classes it has, the data will say."
        )
    if plan.settings.method.key == "full":
        return Estimate(
            size, size, 1.001 * size, "Every number of the model and the head; names come on top."
        )
    return _exact(
        size, "The safetensors file with its header, and the trained head, if there is one, in it: exact."
    )


def _seconds(counts: ResourceCounts, pace: Estimate) -> Estimate:
    how = (
        f"{counted(counts.steps, 'step')} of {_flops(counts.step_flops)}, model and method together, "
        f"at {_flops(1 / pace.value)} a second: {pace.how}."
    )
    return replace(pace.scaled(counts.training_flops), how=how)


def _rough_overhead(counts: ResourceCounts, pace: Estimate) -> Estimate:
    """Return the seconds of loading, and of evaluations at training's pace."""
    return _LOADING + pace.scaled(counts.evaluation_flops)


def _evaluating(counts: ResourceCounts, pace: Estimate) -> Evaluating:
    """Return how often the run is evaluated, and the seconds of it at training's pace."""
    times, last = counts.evaluations, counts.final_evaluation_flops
    others = (counts.evaluation_flops - last) / max(times - 1, 1)
    return Evaluating(times, others * pace.value, last * pace.value)


def _whole(training: Estimate, overhead: Estimate) -> Estimate:
    how = f"Training, and {overhead.value:.0f} s of loading and evaluations: {overhead.how}."
    return replace(training + overhead, how=how)


def _peak(counts: ResourceCounts, program: Estimate) -> Estimate:
    step = counts.step_bytes
    how = (
        f"Weights, gradients, moments and activations of a step, by formula {step / 1e6:,.0f} MB "
        f"{MEMORY_FACTOR.how}, beside {program.value / 1e6:,.0f} MB of the program itself: {program.how}."
    )
    return replace(program + MEMORY_FACTOR.scaled(step), how=how)


def _flops(value: float) -> str:
    power = 1e12 if value >= 1e12 else 1e9
    return f"{value / power:.3g} {'T' if power == 1e12 else 'G'}FLOP"


HALF_PRECISION = 0.5  # the share of the bytes by formula, which are float32's, that a GPU may need


def admit(
    runs: Iterable[tuple[Plan, Prediction | None]], most_seconds: float | None = None, left: float = 1.0
) -> None:
    """Refuse runs that need more memory than there is, by forecast too many seconds, or a missing package.

    The lower ends of both estimates count. Models whose layers are unknown until they are loaded pass.

    Args:
        runs: the plans, each with its prediction.
        most_seconds: the longest that a run may take; None: no limit.
        left: the share of its steps that is still to be made, less than 1 for a resumed run.

    Raises:
        InvalidChoice: what is too much or missing, and what to do.
    """
    kind = kind_of_training()
    memory = total_bytes(kind)
    for plan, prediction in runs:
        if missing := missing_package(plan.settings.bits):
            raise InvalidChoice(f"bits: {missing}")
        if prediction is None:
            continue
        need = _least_bytes(prediction, kind)
        if need > memory:
            raise InvalidChoice(_too_large(plan, prediction, kind, memory))
        if most_seconds and prediction.seconds and prediction.whole_seconds:
            before = (1 - left) * prediction.seconds.low
            if prediction.whole_seconds.low - before > most_seconds:
                raise InvalidChoice(_too_long(plan, prediction, most_seconds, before))


def admitted(plan: Plan, store: RunStore, most_seconds: float | None = None) -> dict[str, Any] | None:
    """Return a run's prediction from the store's runs and measurements, as JSON to keep; raises as `admit`
    does."""
    prediction = predict(plan, store.finished(), store.measurements.all())
    admit([(plan, prediction)], most_seconds)
    return prediction.as_json() if prediction else None


def admit_again(run: RunRecord, plan: Plan, store: RunStore, most_seconds: float | None = None) -> None:
    """`admit` for a run that is to be resumed: only the seconds that are still to come count."""
    left = 1 - run.step / run.total_steps if run.total_steps else 1.0
    admit([(plan, predict(plan, store.finished(), store.measurements.all()))], most_seconds, left)


def _least_bytes(prediction: Prediction, kind: str) -> float:
    return prediction.peak_memory_bytes.low * _share(kind)


def _share(kind: str) -> float:
    """Return the factor on the least bytes: on a GPU each process has its own memory and may need half of
    them; on a CPU all share one."""
    return HALF_PRECISION if kind == "cuda" else schedule.processes()


def _too_large(plan: Plan, prediction: Prediction, kind: str, memory: int) -> str:
    settings, batch = plan.settings, plan.settings.batch_size
    assert batch
    where = "the GPU here" if kind == "cuda" else "this machine"
    inputs = "the size of the images" if settings.image_size else "the length of the texts"
    fits = _largest_batch(plan, prediction, kind, memory)
    advice = f"Batches of {fits} fit." if fits else f"Choose a smaller model, or lower {inputs}."
    return (
        f"batch_size: got {batch}; {plan.model.title} with {settings.method.label()} then needs at least "
        f"{_least_bytes(prediction, kind) / 1e9:.3g} GB of memory, and {where} has {memory / 1e9:.3g} GB. "
        f"{advice}"
    )


def _largest_batch(plan: Plan, prediction: Prediction, kind: str, memory: int) -> int:
    """Return the largest half, quarter, ... of the batch that fits; 0 where not even one example does."""
    batch = plan.settings.batch_size or 1
    while batch := batch // 2:
        smaller_plan = replace(plan, settings=plan.settings.model_copy(update={"batch_size": batch}))
        counts = count(smaller_plan)
        assert counts is not None
        smaller = prediction.peak_memory_bytes.low - prediction.counted.step_bytes + counts.step_bytes
        if smaller * _share(kind) <= memory:
            return batch
    return 0


def _too_long(plan: Plan, prediction: Prediction, most_seconds: float, before: float) -> str:
    settings, whole = plan.settings, prediction.whole_seconds
    assert whole is not None
    field = "max_steps" if settings.max_steps else "epochs"
    steps = int(prediction.counted.steps * (most_seconds + before) / whole.value)
    takes = f"takes {duration(whole.low - before)} {'more ' if before else ''}at least"
    fit = f"About {counted(steps, 'step')} {'fits' if steps == 1 else 'fit'}."
    advice = fit if steps else "Choose a smaller model, or evaluate on less."
    return (
        f"{field}: got {getattr(settings, field):g}; {settings.method.label()} on {plan.model.title} then "
        f"{takes}, and a run may take {duration(most_seconds)} here. {advice}"
    )
