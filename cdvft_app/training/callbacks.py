"""What happens beside the optimizer: events, the clock, stopping, snapshots, and runs that go wrong."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cdvft_app.events import (
    Answers,
    Checkpoint,
    Evaluation,
    Event,
    Halt,
    Note,
    Snapshot,
    Step,
    TrainingFailed,
)
from cdvft_app.methods import Method
from cdvft_app.metrics import get_metric
from cdvft_app.store import snapshots
from cdvft_app.store.records import StoreError
from cdvft_app.training import checkpoints, trainable
from cdvft_app.training.checkpoints import BestStep


@dataclass
class Clock:
    """Seconds spent in steps (fetching, forward, backward, update), without evaluation and saving."""

    seconds: float = 0.0
    step_seconds: float = 0.0
    _since: float | None = None

    def start(self) -> None:
        self._since = time.perf_counter()

    def stop(self) -> None:
        assert self._since is not None
        self.step_seconds = time.perf_counter() - self._since
        self.seconds += self.step_seconds


@dataclass
class LossWatch:
    """Ends a run whose loss is not finite, or has grown without bound.

    The second means: over the last `window` steps the mean loss is `factor` times that of the first `window`
    or more, and it still rose against the `window` steps before.

    The advice names `alpha`, the factor on the update, where it is above 1, and the `usual_rate` (the
    recipe's for this method) where the run's rate is above that.
    """

    learning_rate: float
    alpha: float = 1.0
    usual_rate: float | None = None
    window: int = 20
    factor: float = 3.0
    losses: list[float] = field(default_factory=list)

    def see(self, step: int, loss: float) -> None:
        """Take the loss of one more step.

        Raises:
            TrainingFailed: with what happened and which learning rates to try.
        """
        if not math.isfinite(loss):
            raise TrainingFailed(f"The loss is {_non_finite_name(loss)} at step {step}. {self.advice()}")
        self.losses.append(loss)
        if len(self.losses) < 3 * self.window:
            return
        first, before, now = (
            sum(part) / self.window
            for part in (
                self.losses[: self.window],
                self.losses[-2 * self.window : -self.window],
                self.losses[-self.window :],
            )
        )
        if now > self.factor * first and now > before:
            raise TrainingFailed(
                f"The loss keeps rising: from {first:.3g} at the start to {now:.3g} at step {step}. "
                f"{self.advice()}"
            )

    def advice(self) -> str:
        """Return what to try instead, in a sentence or two."""
        rate = self.learning_rate
        lower = f", or lower alpha ({self.alpha:g})" if self.alpha > 1 else ""
        sentence = (
            f"The learning rate {rate:g} is most likely too high; try {rate / 3:.2g}, or {rate / 10:.2g}"
        )
        usual = self.usual_rate
        own = f" The recipe's own rate is {usual:g}." if usual and usual < rate else ""
        return f"{sentence}{lower}.{own}"


def _non_finite_name(value: float) -> str | None:
    """Return "not a number" or "infinite"; None for a finite value."""
    return "not a number" if math.isnan(value) else "infinite" if math.isinf(value) else None


def _perplexity(loss: float) -> str:
    """exp(loss) of the mean loss of an answer's tokens; about how many tokens it hesitates among."""
    return f"{math.exp(loss):.3g}" if loss < 20 else "over 10⁸"


class Reporter(TrainerCallback):
    """Turns what the Trainer does into events, and asks before every step whether to go on.

    A step's event comes before its snapshot's and its evaluation's, as the store expects it after a resume.

    Attributes:
        chooses: evaluations are on the validation rows; what is best there is kept beside the checkpoints.
        best: its step; None: there was no evaluation yet.
        stopped_early: `patience` evaluations were no better, and the run ends.
    """

    def __init__(
        self,
        *,
        emit: Callable[[Event], None],
        should_stop: Callable[[], Halt],
        folder: Path,
        clock: Clock,
        watch: LossWatch,
        method: Method,
        metric_name: str,
        throughput_unit: str,
        answer: Callable[[], Answers | None],
        chooses: bool,
        patience: int,
        steps_per_epoch: int,
    ) -> None:
        self.emit = emit
        self.should_stop = should_stop
        self.folder = folder
        self.clock = clock
        self.watch = watch
        self.method = method
        self.metric_name = metric_name
        self.throughput_unit = throughput_unit
        self.answer = answer
        self.halted = Halt.NO
        self.chooses, self.patience, self.steps_per_epoch = chooses, patience, steps_per_epoch
        self.best: BestStep | None = None
        self.stopped_early = False
        self.final = False
        self.last_evaluation: Evaluation | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.snapshots_kept = state.is_world_process_zero
        vectors = trainable.vectors(kwargs["model"], self.method) if self.snapshots_kept else {}
        size = sum(4 * vector.numel() for vector in vectors.values())
        self.snapshot_steps = snapshots.planned(state.max_steps, size)
        if state.global_step == 0:
            self._snapshot(0, kwargs["model"])
            self._tell_answers()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if args.device.type == "cuda":
            torch.cuda.synchronize()
        self.clock.stop()
        if state.global_step >= state.max_steps:
            control.should_evaluate = self.chooses  # the final evaluation follows
        elif halted := self._strongest_halt(args, self.should_stop()):
            self.halted = halted
            control.should_training_stop = control.should_save = True
            if halted is not Halt.PAUSE:  # the run that goes on must not lack one
                control.should_evaluate = self.chooses
            self.snapshot_steps.add(state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if not logs or "loss" not in logs:
            return
        step = state.global_step
        self.watch.see(step, logs["loss"])
        norm = logs.get("grad_norm")
        self.emit(
            Step(
                step=step,
                seconds=logs["seconds"],
                loss=logs["loss"],
                learning_rate=logs["learning_rate"],
                gradient_norm=norm if norm is not None and math.isfinite(norm) else None,
                throughput=logs["throughput"],
                throughput_unit=self.throughput_unit,
            )
        )
        if step in self.snapshot_steps:
            self._snapshot(step, kwargs["model"])

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            folder = Path(args.output_dir or "")
            checkpoint = folder / f"checkpoint-{state.global_step}"
            checkpoints.copy_best(folder, checkpoint)
            checkpoints.write_checksums(checkpoint)
            self.emit(Checkpoint(state.global_step))

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        assert metrics is not None
        loss, metric = metrics["eval_loss"], metrics[f"eval_{self.metric_name}"]
        if not (math.isfinite(loss) and math.isfinite(metric)):
            shown = _non_finite_name(metric) or get_metric(self.metric_name).format(metric)
            raise TrainingFailed(
                f"At the evaluation after step {state.global_step} the loss was "
                f"{_non_finite_name(loss) or f'{loss:.4g}'}, "
                f"{self.metric_name} {shown}. {self.watch.advice()}"
            )
        step = state.global_step
        if self.final and self.best is not None:
            step = self.best.step
        self.last_evaluation = Evaluation(
            step, self.clock.seconds, loss, self.metric_name, metric, self.final, self.chooses
        )
        self.emit(self.last_evaluation)
        if self.chooses:
            self._choose(args, state, control, BestStep(step, metric, loss), kwargs["model"])
        if self.chooses or self.best is None:  # else they were told after the last step
            self._tell_answers()
        if self.final and "eval_exact_match" in metrics:  # of a model that writes
            f1 = metrics.get("eval_field_f1")
            written = "" if f1 is None else f"The answers that were written at the end: field F1 {f1:.3f}. "
            self.emit(Note(f"{written}Perplexity of the right answers: {_perplexity(loss)}."))

    def _choose(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        found: BestStep,
        model: torch.nn.Module,
    ) -> None:
        """Keep the best so far; end a run that has not become better for long.

        What is evaluated because the run was stopped may be what it leaves behind, and is not in its
        checkpoints: one that goes on chooses, and ends, as if nobody had stopped it.
        """

        def is_planned(step: float) -> bool:
            return step % state.eval_steps == 0 or step == state.max_steps

        if found.is_before(self.best):
            self.best = found
            if state.is_world_process_zero and is_planned(found.step):
                checkpoints.keep_best(
                    Path(args.output_dir or ""), found, lambda into: trainable.save(model, into)
                )
            return
        assert self.best is not None
        after = [
            row
            for row in state.log_history
            if "eval_loss" in row and row["step"] > self.best.step and is_planned(row["step"])
        ]
        if 0 < self.patience <= len(after) and self.steps_per_epoch <= state.global_step < state.max_steps:
            self.stopped_early = control.should_training_stop = True
            self.halted = Halt.NO  # it ends here by itself: nothing is left to go on with

    def _tell_answers(self) -> None:
        answers = self.answer()
        if answers is not None:
            self.emit(answers)

    def _snapshot(self, step: int, model: torch.nn.Module) -> None:
        vectors = trainable.vectors(model, self.method) if self.snapshots_kept else {}
        if not vectors:
            return
        try:
            file = snapshots.write(self.folder, step, vectors)
        except StoreError as error:
            self.snapshots_kept = False
            self.emit(Note(str(error)))
            return
        self.emit(Snapshot(step, self.clock.seconds, file))

    @staticmethod
    def _strongest_halt(args: TrainingArguments, halt: Halt) -> Halt:
        """Return the strongest `Halt` of all data-parallel processes, so that all leave at the same step."""
        if args.world_size == 1:
            return halt
        halt_value = torch.tensor(int(halt), device=args.device)
        torch.distributed.all_reduce(halt_value, torch.distributed.ReduceOp.MAX)
        return Halt(int(halt_value))
