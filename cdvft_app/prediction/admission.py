"""Refuses runs before they are queued: steps too large, runs too long, packages that are missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from cdvft_app.catalog import Plan
from cdvft_app.catalog.backbones import missing_package
from cdvft_app.costs.quantities import duration
from cdvft_app.prediction.counted import count
from cdvft_app.prediction.predicting import Prediction, predict
from cdvft_app.settings import InvalidChoice
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.training.device import kind_of_training, total_bytes

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
    """A run's prediction from the store's runs and measurements, as JSON to keep; raises as `admit` does."""
    prediction = predict(plan, store.finished(), store.measurements.all())
    admit([(plan, prediction)], most_seconds)
    return prediction.facts() if prediction else None


def admit_again(run: RunRecord, plan: Plan, store: RunStore, most_seconds: float | None = None) -> None:
    """`admit` for a run that is to be resumed: only the seconds that are still to come count."""
    left = 1 - run.step / run.total_steps if run.total_steps else 1.0
    admit([(plan, predict(plan, store.finished(), store.measurements.all()))], most_seconds, left)


def _least_bytes(prediction: Prediction, kind: str) -> float:
    return prediction.peak_memory_bytes.low * _share(prediction, kind)


def _share(prediction: Prediction, kind: str) -> float:
    """On a GPU each process has its own memory and may need half of the bytes; on a CPU all share one."""
    return HALF_PRECISION if kind == "cuda" else prediction.counted.processes


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
    """The largest half, quarter, ... of the batch that fits; 0 where not even one example does."""
    batch = plan.settings.batch_size or 1
    while batch := batch // 2:
        smaller_plan = replace(plan, settings=plan.settings.model_copy(update={"batch_size": batch}))
        counted = count(smaller_plan, prediction.counted.processes)
        assert counted is not None
        smaller = prediction.peak_memory_bytes.low - prediction.counted.step_bytes + counted.step_bytes
        if smaller * _share(prediction, kind) <= memory:
            return batch
    return 0


def _too_long(plan: Plan, prediction: Prediction, most_seconds: float, before: float) -> str:
    settings, whole = plan.settings, prediction.whole_seconds
    assert whole is not None
    field = "max_steps" if settings.max_steps else "epochs"
    steps = int(prediction.counted.steps * (most_seconds + before) / whole.value)
    takes = f"takes {duration(whole.low - before)} {'more ' if before else ''}at least"
    advice = f"About {steps:,} steps fit." if steps else "Choose a smaller model, or evaluate on less."
    return (
        f"{field}: got {getattr(settings, field):g}; {settings.method.label()} on {plan.model.title} then "
        f"{takes}, and a run may take {duration(most_seconds)} here. {advice}"
    )
