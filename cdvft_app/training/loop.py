"""transformers.Trainer with what a fair race needs: one data order, one head, and nothing but safetensors.

`training_arguments` gives it numbers from the plan, device and precision from here.
"""

from __future__ import annotations

import ctypes
import math
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import torch
from accelerate.utils import gather_object
from torch import nn
from transformers import Trainer, TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler

from cdvft_app.catalog import Plan
from cdvft_app.tasks.base import GenerativeTask, Task
from cdvft_app.training import schedule, trainable
from cdvft_app.training.callbacks import Clock
from cdvft_app.training.device import cpu_capabilities, is_on_cpu

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # as malloc.h of glibc numbers them
_LARGEST = 2**31 - 1


def training_arguments(plan: Plan, folder: Path, examples: int, evaluation_batch: int) -> TrainingArguments:
    """Return the Trainer's arguments for a plan.

    Args:
        plan: its batch size is that of all processes together.
        folder: takes the checkpoints.
        examples: number of training examples.
        evaluation_batch: examples that each process evaluates at once, where no step takes more.
    """
    settings = plan.settings
    assert settings.method.learning_rate  # a plan is complete
    total_steps = schedule.total_steps(settings, examples)
    cuda = torch.cuda.is_available() and not is_on_cpu()
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False) if cuda else bf16_on_cpu(plan)
    if settings.precision != "auto":
        bf16 = settings.precision == "bfloat16"
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=total_steps,
        per_device_train_batch_size=schedule.examples_at_once(settings),
        per_device_eval_batch_size=max(evaluation_batch, schedule.examples_at_once(settings)),
        gradient_accumulation_steps=settings.gradient_accumulation or 1,
        **_checkpointing(settings.gradient_checkpointing),
        learning_rate=settings.method.learning_rate,
        lr_scheduler_type="constant_with_warmup" if settings.schedule == "constant" else settings.schedule,
        warmup_steps=math.ceil(settings.warmup_ratio * total_steps),
        weight_decay=settings.weight_decay,
        adam_beta1=settings.adam_beta1,
        max_grad_norm=1.0,
        seed=settings.seed,
        use_cpu=bf16 and not cuda,  # else the Trainer refuses bfloat16 without a GPU
        bf16=bf16,
        fp16=cuda and not bf16 and settings.precision == "auto",
        eval_strategy="steps",
        eval_steps=schedule.evaluation_every(settings, total_steps),
        save_steps=settings.checkpoint_every,
        save_total_limit=2,
        logging_steps=1,
        logging_nan_inf_filter=False,
        label_names=["labels"],
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        dataloader_pin_memory=cuda,
    )
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # more in one process means DataParallel; `accelerate launch` uses them all
    return arguments


def _checkpointing(is_on: bool) -> dict[str, Any]:
    """Nothing where it is off: a transformers that has another name for it says so of whatever is given."""
    # Not reentrant: that would pass no gradient on from a frozen input.
    on = {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}}
    return on if is_on else {}


def bf16_on_cpu(plan: Plan) -> bool:
    """Return whether steps multiply in bfloat16 on a CPU: for language models, where the processor has it.

    The small classifiers stay in float32, in which their records were made.
    """
    has = cpu_capabilities()
    return plan.model.kind == "generation" and bool(has.get("avx512_bf16") or has.get("amx_bf16"))


def head_learning_rate(plan: Plan) -> float:
    """Return the head's rate: the recipe's for `head`, whatever the method, but where the head alone is
    trained."""
    method = plan.settings.method
    own = method.learning_rate if method.key == "head" else None
    return own or plan.recipe.learning_rates["head"]


def precision(arguments: TrainingArguments) -> str:
    """Return the precision of the arithmetic, as pages show it; trained parameters are float32 in every
    case."""
    mixed = autocast_dtype(arguments)
    return f"{str(mixed).removeprefix('torch.')} mixed with float32" if mixed else "float32"


def autocast_dtype(arguments: TrainingArguments) -> torch.dtype | None:
    """Return the dtype in which the Trainer makes products while trained parameters are float32; None: in
    float32."""
    return torch.bfloat16 if arguments.bf16 else torch.float16 if arguments.fp16 else None


def keep_freed_memory() -> bool:
    """Have this process keep what it frees until it ends, and return whether its C library can.

    glibc gives large blocks back to the system as soon as they are free, and the next step fetches the same
    memory anew, page by page. One step of SmolLM2-135M touched 97,000 new pages for that reason; without, it
    takes 3 to 6 % less time, and the process is 2 % larger at its peak.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and all(
        mallopt(option, _LARGEST) for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD)
    )


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
        lr_ratios: as `Method.lr_ratios` returns them.
        clock: counts the seconds of steps.
    """

    def __init__(
        self,
        *args: Any,
        task: Task,
        lengths: list[int],
        head_learning_rate: float,
        lr_ratios: Mapping[str, float],
        clock: Clock,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = False  # the loss below is a batch's mean
        self.task = task
        task.train_in(autocast_dtype(self.args))
        keep_freed_memory()
        self.lengths = lengths
        self.head_learning_rate, self.lr_ratios = head_learning_rate, lr_ratios
        self.clock = clock
        self.peak_resident_bytes = 0
        self.answers_are_written = False
        self._units = torch.zeros((), dtype=torch.int64)
        self._process = psutil.Process()

    def _get_train_sampler(self, train_dataset: Any = None) -> SeededLengthGroupedSampler:
        batch = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        steps_per_epoch = math.ceil(len(self.lengths) / batch)
        sampler = SeededRandomSampler if isinstance(self.task, GenerativeTask) else SeededLengthGroupedSampler
        return sampler(
            batch,
            self.lengths,
            self.args.seed,
            lambda: self.state.global_step // steps_per_epoch,
        )

    def create_optimizer(self, model: nn.Module | None = None) -> Any:
        """AdamW with the method's rate, the head's, and the method's ratios; weight decay spares biases and
        norms.

        The method's group comes first: its rate is the one that is logged. `cdvft.create_optimizer` and
        PEFT's `create_loraplus_optimizer` give adapters the same rates, but know of no head with its own.
        """
        trained = self.model if model is None else model
        if self.optimizer is None and trained is not None:
            decayed = set(self.get_decay_parameter_names(trained))
            groups: dict[tuple[bool, float, bool], list[nn.Parameter]] = {}
            for name, parameter in trained.named_parameters():
                if parameter.requires_grad:
                    in_head = trainable.is_head(name, self.task.head)
                    own = [ratio for pattern, ratio in self.lr_ratios.items() if re.search(pattern, name)]
                    key = (in_head, own[0] if own and not in_head else 1.0, name not in decayed)
                    groups.setdefault(key, []).append(parameter)
            optimizer_class, kwargs = self.get_optimizer_cls_and_kwargs(self.args)
            self.optimizer = optimizer_class(
                [
                    {
                        "params": groups[in_head, ratio, spared],
                        "lr": self.head_learning_rate if in_head else self.args.learning_rate * ratio,
                        "weight_decay": 0.0 if spared else self.args.weight_decay,
                    }
                    for in_head, ratio, spared in sorted(groups, key=lambda of: (of[0], of[1] != 1, of[2]))
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
        """Return the task's loss; with what it keeps of the outputs, where an evaluation asks for them."""
        inputs = dict(inputs)
        labels = inputs.pop("labels")
        outputs = self.task.forward(model, inputs, labels)
        loss = self.task.loss(outputs, labels)
        if model.training:
            self._units = self._units + self.task.units(inputs)
            self.peak_resident_bytes = max(self.peak_resident_bytes, self._process.memory_info().rss)
        if not return_outputs:
            return loss
        return loss, {"logits": self.task.preprocess_logits_for_metrics(outputs, labels)}

    def write_answers(self) -> None:
        """Have evaluations write answers from now on, of more rows at once than logits have room for."""
        assert isinstance(self.task, GenerativeTask)
        self.answers_are_written = True
        most = max(self.task.written_batch, self.args.per_device_eval_batch_size)
        self.args.per_device_eval_batch_size = most

    def prediction_step(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """With `answers_are_written`, return what the task writes in place of what it keeps."""
        if not self.answers_are_written:
            return super().prediction_step(model, inputs, *args, **kwargs)
        assert isinstance(self.task, GenerativeTask)
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
        """Evaluate, and leave the random numbers as they were, so that how often one evaluates changes no
        history."""
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

    def _save_rng_state(self, output_dir: str) -> None:
        """The first process writes all before it seals the checkpoint: others may have other disks."""
        if self.args.world_size == 1:
            super()._save_rng_state(output_dir)
            return
        with tempfile.TemporaryDirectory() as folder:
            super()._save_rng_state(folder)
            own = [(file.name, file.read_bytes()) for file in Path(folder).iterdir()]
        for name, content in gather_object(own):
            if self.args.should_save:
                Path(output_dir, name).write_bytes(content)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        model = self.model if model is None else model
        if model is not None:
            trainable.load(model, Path(resume_from_checkpoint))
