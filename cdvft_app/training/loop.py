"""transformers.Trainer with what a fair race needs: one data order, one head, and nothing but safetensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import Trainer
from transformers.trainer_pt_utils import LengthGroupedSampler

from cdvft_app.tasks.base import Task
from cdvft_app.training import trainable
from cdvft_app.training.allocation import keep_freed_memory
from cdvft_app.training.arguments import autocast_dtype
from cdvft_app.training.callbacks import Clock
from cdvft_app.training.compiled import CompiledSteps


class SeededLengthGroupedSampler(LengthGroupedSampler):
    """Batches of similar length in an order that follows from (seed, epoch) alone.

    The Trainer's own sampler draws from the global generator, whose state depends on what a method drew for
    its start; here every method of a race, and a resumed run, sees the same batches.
    """

    def __init__(self, batch_size: int, lengths: list[int], seed: int, epoch: Callable[[], int]) -> None:
        super().__init__(batch_size, lengths=lengths, generator=torch.Generator())
        self.seed = seed
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        self.generator.manual_seed(self.seed + 1_000_003 * self.epoch())
        return super().__iter__()


class SeededRandomSampler(SeededLengthGroupedSampler):
    """Examples in any order that follows from (seed, epoch) alone.

    For models that write: batches of one length teach what answers of that length have, and an epoch sorted
    by length ends on the shortest.
    """

    def __iter__(self) -> Iterator[int]:
        self.generator.manual_seed(self.seed + 1_000_003 * self.epoch())
        return iter(torch.randperm(len(self.lengths), generator=self.generator).tolist())


class RaceTrainer(Trainer):
    """One method's training loop.

    Args:
        task: gives the loss and names the head.
        lengths: of the training examples.
        head_learning_rate: the head's own rate, equal for all methods of a race.
        clock: counts the seconds of steps.
        compiled: what whole batches of training go through; None: the model as it is.
    """

    def __init__(
        self,
        *args: Any,
        task: Task,
        lengths: list[int],
        head_learning_rate: float,
        clock: Clock,
        compiled: CompiledSteps | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.compiled = compiled
        if compiled:
            self.add_callback(compiled)
        self.model_accepts_loss_kwargs = False  # the loss below is a batch's mean
        self.task = task
        task.train_in(autocast_dtype(self.args))
        keep_freed_memory()
        self.lengths = lengths
        self.head_learning_rate = head_learning_rate
        self.clock = clock
        self.peak_resident_bytes = 0
        self.answers_are_written = False
        self._units = torch.zeros((), dtype=torch.int64)
        self._process = psutil.Process()

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Where steps are compiled, of batches that have one shape."""
        if self.compiled is None:
            return super().get_train_dataloader()
        self.data_collator = self.compiled.collate
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = self.task.collate  # for evaluations

    def _get_train_sampler(self, train_dataset: Any = None) -> SeededLengthGroupedSampler:
        batch = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        steps_per_epoch = math.ceil(len(self.lengths) / batch)
        sampler = SeededRandomSampler if self.task.is_generative else SeededLengthGroupedSampler
        return sampler(
            batch,
            self.lengths,
            self.args.seed,
            lambda: self.state.global_step // steps_per_epoch,
        )

    def create_optimizer(self, model: nn.Module | None = None) -> Any:
        """AdamW with two rates, the method's and the head's; weight decay spares biases and norms.

        The method's group comes first: its rate is the one that is logged.
        """
        trained = self.model if model is None else model
        if self.optimizer is None and trained is not None:
            decayed = set(self.get_decay_parameter_names(trained))
            groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
            for name, parameter in trained.named_parameters():
                if parameter.requires_grad:
                    key = (trainable.is_head(name, self.task.head), name not in decayed)
                    groups.setdefault(key, []).append(parameter)
            optimizer_class, kwargs = self.get_optimizer_cls_and_kwargs(self.args)
            self.optimizer = optimizer_class(
                [
                    {
                        "params": groups[in_head, spared],
                        "lr": self.head_learning_rate if in_head else self.args.learning_rate,
                        "weight_decay": 0.0 if spared else self.args.weight_decay,
                    }
                    for in_head, spared in sorted(groups)
                ],
                **kwargs,
            )
        return self.optimizer

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        self.clock.start()
        self._units = torch.zeros((), dtype=torch.int64, device=self.args.device)
        return super().get_batch_samples(*args, **kwargs)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The task's loss; with what it keeps of the outputs, where an evaluation asks for them."""
        inputs = dict(inputs)
        labels = inputs.pop("labels")
        called = model
        if self.compiled and model.training:
            called = self.compiled.in_place_of(model, len(labels))
        outputs = self.task.forward(called, inputs, labels)
        loss = self.task.loss(outputs, labels)
        if model.training:
            self._units = self._units + self.task.units(inputs)
            self.peak_resident_bytes = max(self.peak_resident_bytes, self._process.memory_info().rss)
        return (loss, {"logits": self.task.kept(outputs, labels)}) if return_outputs else loss

    def write_answers(self) -> None:
        """From now on evaluations have answers written, of more rows at once than logits have room for."""
        self.answers_are_written = True
        most = max(self.task.written_batch, self.args.per_device_eval_batch_size)
        self.args.per_device_eval_batch_size = most

    def prediction_step(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """With `answers_are_written`, what the task writes stands in place of what it keeps."""
        if not self.answers_are_written:
            return super().prediction_step(model, inputs, *args, **kwargs)
        inputs = self._prepare_inputs(inputs)
        rows, most = len(inputs["labels"]), self.task.evaluation_batch
        loss = torch.zeros((), device=self.args.device)
        for start in range(0, rows, most):
            part = {
                name: one[start : start + most] if isinstance(one, torch.Tensor) else one
                for name, one in inputs.items()
            }
            of_part, _, _ = super().prediction_step(model, part, True)
            assert of_part is not None  # there are labels
            loss += of_part * len(part["labels"]) / rows
        return loss, self.task.write(inputs), inputs["labels"]

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Leaves the random numbers as they were, so that how often one evaluates changes no history."""
        with torch.random.fork_rng(devices=[]):
            return super().evaluate(*args, **kwargs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add clock and throughput (of all processes) to a step's log, so that checkpoints carry them."""
        if "loss" in logs:
            units = self.accelerator.reduce(self._units, reduction="sum").item()
            logs["seconds"] = self.clock.seconds
            logs["throughput"] = units / self.clock.step_seconds
        super().log(logs, start_time)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        if self.args.should_save and self.model is not None and output_dir is not None:
            trainable.save(self.model, Path(output_dir))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        model = self.model if model is None else model
        if model is not None:
            trainable.load(model, Path(resume_from_checkpoint))
