"""One run of one method, from a frozen `RunSettings` to a kept adapter: the only training path there is.

Every method of a race has the same backbone, the same head with the same start and the same learning rate
(the recipe's for `head`; a method's own rate is that of its adapter, or of the backbone in `full`), the same
data in the same order, the same schedule, and the same evaluation. Only the method differs.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from accelerate.utils import broadcast
from transformers import EvalPrediction, PrinterCallback, TrainerState, set_seed
from transformers.utils import logging as transformers_log

from cdvft_app.catalog import Plan, resolve, uploaded
from cdvft_app.catalog.dataset_readers import Rows
from cdvft_app.catalog.download import DownloadFailed, DownloadStopped
from cdvft_app.catalog.entries import MIN_VALIDATION, DatasetEntry
from cdvft_app.catalog.uploaded import MIN_TRAIN_ROWS
from cdvft_app.events import (
    ADAPTER,
    Answers,
    Done,
    Evaluation,
    Event,
    Halt,
    Note,
    Preparing,
    Started,
    TrainingFailed,
    TrainingPaused,
    TrainingStopped,
)
from cdvft_app.metrics import get_metric
from cdvft_app.metrics.exact_match import wrong_parts
from cdvft_app.progress import Progress
from cdvft_app.settings import InvalidChoice, RunSettings
from cdvft_app.store import predictions, snapshots
from cdvft_app.store.predictions import WrittenRow
from cdvft_app.tasks import saved
from cdvft_app.tasks.base import GenerativeTask, InvalidInput, LabelledTask, Prepared, Task, WatchedPrompts
from cdvft_app.tasks.generation import IGNORED, GenerationTask
from cdvft_app.tasks.prepare import prepare
from cdvft_app.training import checkpoints, data_parallel, kernels, schedule, trainable
from cdvft_app.training.callbacks import Clock, LossWatch, Reporter
from cdvft_app.training.checkpoints import CHECKPOINTS, BestStep
from cdvft_app.training.device import device_kind, device_name
from cdvft_app.training.loop import RaceTrainer, head_learning_rate, precision, training_arguments

OUT_OF_MEMORY_PHRASES = ("out of memory", "not enough memory", "can't allocate memory")


def train(
    settings: RunSettings,
    emit: Callable[[Event], None],
    should_stop: Callable[[], Halt],
    folder: Path,
    resume: bool = False,
) -> Done:
    """Train, evaluate, keep the adapter, and say so in events on the way.

    In several processes (`accelerate launch`) each takes its part of every batch, `batch_size` stays that of
    all together, the first one alone emits and keeps, and all share `folder`.

    Args:
        settings: what to run; fields that are None are the recipe's.
        emit: hears every event in order, the final `Done` included.
        should_stop: asked while preparing and after every step; once it says STOP the run ends within two
            steps, with an evaluation, an adapter, and a checkpoint to go on from; after PAUSE with the
            checkpoint alone.
        folder: takes this run's checkpoints, snapshots and adapter.
        resume: go on from the last whole checkpoint in `folder`; from the start where there is none.

    Returns:
        The same `Done` that was emitted last.

    Raises:
        TrainingFailed: the run cannot go on; the text is for the person who started it.
        TrainingStopped: `should_stop` said STOP before the first step.
        TrainingPaused: `should_stop` said PAUSE.
    """
    try:
        plan = resolve(settings)
    except InvalidChoice as error:
        raise TrainingFailed(str(error)) from error
    return train_plan(plan, emit, should_stop, folder, resume)


def train_plan(
    plan: Plan,
    emit: Callable[[Event], None],
    should_stop: Callable[[], Halt],
    folder: Path,
    resume: bool = False,
    *,
    rows: Rows | None = None,
) -> Done:
    """Train a plan that is already made, on `rows` in place of its dataset's where they are given."""
    send = emit if data_parallel.rank() == 0 else _ignore
    with user_facing_errors(plan.settings, should_stop):
        prepared = _prepare(plan, rows, send, should_stop, resume)
        kernels.use_onednn(prepared.task.model)
        set_seed(plan.settings.seed)  # the method's start
        model = trainable.build(plan.settings, prepared.task.model, prepared.task.head)
        trainable.name_base(model, *plan.model.base(prepared.task.commit))
        run = _Run(
            plan=plan, prepared=prepared, model=model, folder=folder, emit=send, should_stop=should_stop
        )
        kernels.time_on_gpu(plan, prepared, model, run.trainer, send)
        checkpoint = run.restore() if resume else None
        run.announce()
        run.train(checkpoint)
        return run.finish()


def _prepare(
    plan: Plan, rows: Rows | None, emit: Callable[[Event], None], should_stop: Callable[[], Halt], again: bool
) -> Prepared:
    if schedule.processes() > 1:
        should_stop = _never  # one process must not leave the others waiting: all stop after the first step

    def progress(fraction: float | None, text: str) -> None:
        emit(Preparing(text, fraction))
        if should_stop():
            raise halt_exception(should_stop)

    transformers_log.set_verbosity_error()
    transformers_log.disable_progress_bar()
    set_seed(plan.settings.seed)  # the head's start, the same for every method
    prepared = prepare(plan, progress, should_stop, rows)
    if rows is None and prepared.validation is None and (reason := nothing_chosen(plan)):
        emit(Note(reason))
    commits = [f"{title}: commit {commit} of the hub." for title, commit in prepared.commits.items()]
    for note in (*prepared.task.notes, *commits):
        emit(Note(note))
    if plan.settings.data and prepared.baseline:
        emit(Note(prepared.baseline))
    if (
        plan.settings.data
        and isinstance(prepared.task, GenerativeTask)
        and schedule.processes() == 1
        and not again
    ):
        emit(Note(base_model_baseline(plan, prepared, progress)))
    kernels.load_on_cpu(plan, progress)
    progress(None, "Starting")
    return prepared


def nothing_chosen(plan: Plan) -> str | None:
    """Return why the last step is kept where nobody asked for it; else None."""
    if plan.chooses_step:
        return (
            f"The last step is kept: fewer than {MIN_VALIDATION} training rows are left over to choose a "
            "better one by. Train on fewer examples to leave more."
        )
    own = plan.settings.data
    if own and own.train_rows < MIN_TRAIN_ROWS:
        return (
            f"The last step is kept: of {own.train_rows:,} training rows none is spared to choose a better "
            f"one by. From {MIN_TRAIN_ROWS} on some are."
        )
    return None


class _Run:
    """A loaded run and its Trainer."""

    def __init__(
        self,
        *,
        plan: Plan,
        prepared: Prepared,
        model: torch.nn.Module,
        folder: Path,
        emit: Callable[[Event], None],
        should_stop: Callable[[], Halt],
    ) -> None:
        method = plan.settings.method
        assert method.learning_rate and plan.settings.batch_size
        self.batch_size = plan.settings.batch_size
        self.plan, self.task, self.model, self.watched = plan, prepared.task, model, prepared.watched
        self.train_examples, self.evaluation_examples = len(prepared.train), len(prepared.evaluation)
        self.held_out = HeldOut(self.task, prepared.evaluation_rows, prepared.evaluation_inputs)
        self.evaluation, self.validation = prepared.evaluation, prepared.validation
        self.folder, self.emit = folder, emit
        self.clock = Clock()
        self.watch = LossWatch(
            method.learning_rate, getattr(method, "alpha", None) or 1.0, plan.recipe.learning_rate(method)
        )
        self.reporter = Reporter(
            emit=emit,
            should_stop=should_stop,
            folder=folder,
            clock=self.clock,
            watch=self.watch,
            method=method,
            metric_name=self.task.metric_name,
            throughput_unit=self.task.throughput_unit,
            answer=self._answer,
            chooses=prepared.validation is not None,
            patience=plan.settings.early_stopping_patience,
            steps_per_epoch=math.ceil(self.train_examples / self.batch_size),
        )
        self.trainer = RaceTrainer(
            model=model,
            args=training_arguments(
                plan, folder / CHECKPOINTS, self.train_examples, self.task.evaluation_batch
            ),
            train_dataset=prepared.train,
            eval_dataset=prepared.evaluation if prepared.validation is None else prepared.validation,
            data_collator=self.task.collate,
            compute_metrics=self.held_out,
            callbacks=[self.reporter],
            task=self.task,
            lengths=prepared.lengths,
            head_learning_rate=head_learning_rate(plan),
            lr_ratios=method.lr_ratios(),
            clock=self.clock,
        )
        self.trainer.remove_callback(PrinterCallback)  # it prints every row
        self.args = self.trainer.args
        self.step = 0

    def _answer(self) -> Answers | None:
        """Return what the model writes to the watched prompts now; None for a task that does not write."""
        step, seconds = self.trainer.state.global_step, self.clock.seconds
        return sample_generations(self.task, self.watched, self.plan.dataset, step, seconds)

    def restore(self) -> Path | None:
        """Restore what the last whole checkpoint has, and remove later snapshots."""
        whole, damaged = checkpoints.newest(self.folder / CHECKPOINTS)
        for path in damaged:
            self.emit(
                Note(
                    f"The checkpoint of step {checkpoints.step(path)} is damaged and was passed over.",
                    "warning",
                )
            )
        if self.args.should_save:
            checkpoints.restore_best(whole, self.folder / CHECKPOINTS)
        self.reporter.best = data_parallel.broadcast(checkpoints.best_in(self.folder / CHECKPOINTS))
        if whole is None:
            return None
        state = TrainerState.load_from_json(str(whole / checkpoints.LAST_WRITTEN))
        rows = [row for row in state.log_history if "loss" in row]
        self.step = state.global_step
        self.watch.losses = [row["loss"] for row in rows]
        self.clock.seconds = rows[-1]["seconds"]
        if self.args.should_save:
            snapshots.remove_after(self.folder, self.step)
        self.emit(Note(f"{checkpoints.RESUMED_FROM}{self.step}."))
        return whole

    def announce(self) -> None:
        """Emit `Started`."""
        trained, head, base = trainable.count_parameters(self.model, self.task.head)
        self.emit(
            Started(
                total_steps=self.args.max_steps,
                trainable_parameters=trained,
                head_parameters=head,
                base_parameters=base,
                device=device_name(self.args.device.type),
                precision=precision(self.args),
                train_examples=self.train_examples,
                evaluation_examples=self.evaluation_examples,
                metric_name=self.task.metric_name,
                validation_examples=0 if self.validation is None else len(self.validation),
            )
        )

    def train(self, checkpoint: Path | None) -> None:
        """All steps from the checkpoint, or from the start, to the end or to a stop."""
        if self.args.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        if checkpoint is None or self.step < self.args.max_steps:
            self.trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            self.step = self.trainer.state.global_step
        else:  # it was cut off in its final evaluation
            trainable.load(self.model, checkpoint)
            self.trainer.state.global_step = self.step

    def finish(self) -> Done:
        """Evaluate, write the adapter, and return `Done`; after PAUSE nothing of that."""
        if self.reporter.halted is Halt.PAUSE:
            raise TrainingPaused
        best, last_metric = self._best(), None
        if isinstance(self.task, GenerativeTask):
            self.trainer.write_answers()
        if best and best.step < self.step == self.args.max_steps:
            last_metric = self._evaluate().metric
        if best and best.step < self.step:
            self._load_best()
        self.reporter.final = True
        evaluation = self._evaluate()
        if best:
            self.emit(Note(self._what_is_kept(best, evaluation.metric, last_metric)))
        adapter_bytes = 0
        if self.args.should_save:
            adapter_bytes = trainable.save(self.model, self.folder / ADAPTER)
            saved.save(self.task, self.plan, self.folder / ADAPTER)
            if refused := self.held_out.keep(self.folder):
                self.emit(Note(refused, "warning"))
        self.trainer.accelerator.wait_for_everyone()
        recent = self.watch.losses[-self.watch.window :]
        done = Done(
            state="stopped" if self.reporter.halted else "finished",
            step=self.step,
            seconds=self.clock.seconds,
            metric_name=self.task.metric_name,
            metric=evaluation.metric,
            train_loss=sum(recent) / len(recent),
            examples_per_second=self._examples_seen() / self.clock.seconds,
            adapter_bytes=adapter_bytes,
            peak_memory_bytes=self._peak_memory(),
            adapter_folder=self.folder / ADAPTER,
            best_step=best.step if best else None,
            last_metric=last_metric,
        )
        self.emit(done)
        if self.args.should_save and not self.reporter.halted:  # it is kept, and not resumed any more
            shutil.rmtree(self.folder / CHECKPOINTS, ignore_errors=True)
        return done

    def _best(self) -> BestStep | None:
        """Return the best step on the validation rows; evaluations are on the evaluation rows from now on."""
        self.reporter.chooses = False
        best = self.reporter.best
        is_there = data_parallel.broadcast(checkpoints.best_in(self.folder / CHECKPOINTS) == best)
        if best and best.step < self.step and not is_there:
            self.emit(
                Note(f"Step {best.step}, the best, is damaged on the disk: the last is kept.", "warning")
            )
            return None
        return best

    def _load_best(self) -> None:
        """Load the best step, which the first process has on its disk, in all processes."""
        if self.args.should_save:
            trainable.load(self.model, self.folder / CHECKPOINTS / checkpoints.BEST)
        for parameter in self.model.parameters():
            if parameter.requires_grad:
                broadcast(parameter.data)

    def _evaluate(self) -> Evaluation:
        """Evaluate on the evaluation rows."""
        self.trainer.evaluate(self.evaluation)  # type: ignore[arg-type]
        assert self.reporter.last_evaluation is not None
        return self.reporter.last_evaluation

    def _what_is_kept(self, best: BestStep, metric: float, last_metric: float | None) -> str:
        assert self.validation is not None
        shown = get_metric(self.task.metric_name)
        rows = f"{len(self.validation):,} validation rows"
        text = (
            f"Step {best.step:,} of {self.args.max_steps:,} is kept, the best on {rows}, which were neither "
            f"trained nor evaluated on ({shown.title} {shown.format(best.metric)})."
        )
        if self.reporter.stopped_early:
            text = (
                f"Stopped early after step {self.step:,}: {self.reporter.patience} evaluations in a row were "
                f"no better. {text}"
            )
        if last_metric is not None:
            text += f" It scores {shown.format(metric)}, the last step {shown.format(last_metric)}."
        return text

    def _examples_seen(self) -> int:
        examples = self.train_examples
        epochs, rest = divmod(self.step, math.ceil(examples / self.batch_size))
        return epochs * examples + min(rest * self.batch_size, examples)

    def _peak_memory(self) -> int | None:
        """Return the bytes that torch had allocated on a CUDA device, else the largest size of the whole
        process."""
        if self.args.device.type == "cuda":
            return torch.cuda.max_memory_allocated()
        return self.trainer.peak_resident_bytes or None


def halt_exception(should_stop: Callable[[], Halt]) -> Exception:
    """Return the exception that ends a run which is asked to stop or pause before its first step."""
    return TrainingPaused() if should_stop() is Halt.PAUSE else TrainingStopped()


@contextmanager
def user_facing_errors(settings: RunSettings, should_stop: Callable[[], Halt]) -> Iterator[None]:
    """Turn what can be expected to go wrong into a sentence for the person who started the run."""
    try:
        yield
    except DownloadStopped:
        raise halt_exception(should_stop) from None
    except (DownloadFailed, InvalidInput) as error:
        raise TrainingFailed(str(error)) from error
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and not any(words in str(error).lower() for words in OUT_OF_MEMORY_PHRASES):
            raise
        images = settings.image_size is not None
        size = f"{settings.image_size} pixels" if images else f"{settings.max_length} tokens"
        fields = RunSettings.model_fields
        raise TrainingFailed(
            f"Out of memory with batches of {settings.batch_size} examples of up to {size}. "
            f"Try batches of {max(1, (settings.batch_size or 2) // 2)}, "
            f"a smaller “{fields['image_size' if images else 'max_length'].title}”, "
            f"or fewer “{fields['target_modules'].title}”."
        ) from error


def _ignore(event: Event) -> None:
    """Do nothing: the `emit` of every process but the first."""


def _never() -> Halt:
    return Halt.NO


class HeldOut:
    """A Trainer's `compute_metrics` that remembers what it measured last.

    `rows` are the evaluation examples' places among the rows as they were loaded; `inputs` are what they were
    made of, where the task writes.
    """

    def __init__(self, task: Task, rows: Sequence[int], inputs: Sequence[Any]) -> None:
        self._task, self._rows, self._inputs = task, np.array(rows), inputs
        self._last: EvalPrediction | None = None

    def __call__(self, evaluation: EvalPrediction) -> dict[str, float]:
        self._last = evaluation
        return self._task.compute_metrics(evaluation)

    def keep(self, folder: Path) -> str | None:
        """Write the answers of the last evaluation; returns a sentence where they cannot be written."""
        assert self._last is not None
        try:
            if isinstance(self._task, GenerativeTask):
                predictions.write_answers(folder, self._written(self._task, self._last))
            else:
                assert isinstance(self._task, LabelledTask)
                outputs = self._task.outputs(torch.as_tensor(self._last.predictions)).numpy()
                predictions.write(folder, self._rows, np.asarray(self._last.label_ids), outputs)
        except OSError as error:
            return f"The answers for each row could not be kept: {error.strerror or error}."
        return None

    def _written(self, task: GenerativeTask, evaluation: EvalPrediction) -> list[WrittenRow]:
        return [
            WrittenRow(row=row, prompt=prompt, expected=one.expected, written=one.text, scores=one.scores)
            for row, prompt, one in zip(
                self._rows.tolist(), self._inputs, task.written(evaluation), strict=True
            )
        ]


def sample_generations(
    task: Task, watched: WatchedPrompts, dataset: DatasetEntry, step: int, seconds: float
) -> Answers | None:
    """Return what a model writes to the watched prompts, all at once; None where there are none."""
    if not watched.prompts:
        return None
    predictions = task.predict(watched.prompts)
    texts = tuple(one.text or "" for one in predictions)
    return Answers(
        step=step,
        seconds=seconds,
        prompts=watched.prompts,
        answers=texts,
        right=watched.right,
        wrong=tuple(
            () if right is None else wrong_parts(text, right, dataset)
            for text, right in zip(texts, watched.right, strict=True)
        ),
        tokens=tuple(one.tokens for one in predictions),
        own=None in watched.right,
    )


MAX_ROWS, AT_ONCE = 32, 8
QUANTIZED_BITS = (4, 8)  # bits of weights that are on their device already


def base_model_baseline(plan: Plan, prepared: Prepared, progress: Progress) -> str:
    """Return a sentence with the metric of the model's answers to the first `MAX_ROWS` evaluation rows,
    untrained.

    It is what a score on an uploaded dataset is to be held against. Asking takes about as long as an
    evaluation, so the score is kept beside the rows, and each further run of a race finds it there.

    `progress` may raise to stop it.
    """
    task = cast(GenerationTask, prepared.task)
    assert plan.settings.data
    file = uploaded.folder(plan.settings.data) / f"untrained-{_digest(plan, task)}.json"
    score, rows = None, min(MAX_ROWS, len(prepared.evaluation))
    with suppress(OSError, ValueError, KeyError, TypeError):
        score = float(json.loads(file.read_text(encoding="utf-8"))["score"])
    if score is None:
        score = _measured(plan, prepared, task, progress)
        with suppress(OSError):  # the next run asks again
            file.write_text(json.dumps({"score": score}), encoding="utf-8")
    metric = get_metric(task.metric_name)
    scored = f"{metric.title} {metric.format(score)}, on {rows} of {len(prepared.evaluation)} evaluation rows"
    return f"The same model without training, given the same prompt: {scored}."


def _measured(plan: Plan, prepared: Prepared, task: GenerationTask, progress: Progress) -> float:
    if plan.settings.bits not in QUANTIZED_BITS:
        cast(torch.nn.Module, task.model).to(device_kind())  # where it is trained afterwards
    places = np.argsort(prepared.evaluation_rows)[:MAX_ROWS]
    examples = sorted(
        (prepared.evaluation[int(place)] for place in places), key=lambda one: len(one["labels"])
    )
    # A longer answer than the longest right one is not exactly it.
    most = max(len(one["labels"]) for one in examples) if task.metric_name == "exact_match" else None
    predicted, expected = [], []
    for start in range(0, len(examples), AT_ONCE):
        progress(start / len(examples), "Asking the model before any training")
        batch = examples[start : start + AT_ONCE]
        prompts = task.collate([{"input_ids": one["input_ids"]} for one in batch])
        written = task.write(prompts, max_new_tokens=most)
        predicted += written.tolist()
        expected += [one["labels"] for one in batch]
    sides = EvalPrediction(predictions=_padded(predicted), label_ids=_padded(expected))
    return task.compute_metrics(sides)[task.metric_name]


def _padded(rows: list[list[int]]) -> np.ndarray:
    longest = max(map(len, rows))
    return np.array([row + [IGNORED] * (longest - len(row)) for row in rows])


def _digest(plan: Plan, task: GenerationTask) -> str:
    """Return a digest of all that the score depends on."""
    settings = plan.settings
    given = (
        plan.model.key, plan.model.location, task.commit, settings.max_length, settings.evaluation_examples,
        settings.bits, settings.precision, settings.data and settings.data.model_dump(mode="json"),
    )  # fmt: skip
    return hashlib.sha256(json.dumps(given).encode()).hexdigest()[:16]
