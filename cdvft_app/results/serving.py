"""Finished runs that answer together: adapters of one base model in one batch, a row by its own.

Runs of CDVFT or LoRA on one model lie as adapters in one copy of it, and PEFT's `adapter_names` says of each
row whose it is. Runs of other methods, and those whose heads are more than a linear layer, have a copy each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from peft import PeftModel
from peft.utils import ModulesToSaveWrapper
from torch import nn

from cdvft_app.progress import Progress, silent
from cdvft_app.results.finished_run import FinishedRun, ResultsError, load, slug
from cdvft_app.tasks.base import LabelledTask, Prediction, Task
from cdvft_app.tasks.generation import GenerationTask
from cdvft_app.tasks.writing import GREEDY, Pieces, Sampling, tokens

__all__ = ["Sampling", "Served", "SharedModel", "Written", "named", "serve_runs"]

MIXING = ("cdvft", "lora")
"""Methods whose layers take a batch of which each row names its adapter."""
MAX_BATCH = 32  # requests


@dataclass(frozen=True)
class Served:
    """A run by the name that requests call it by; `adapter` is its own in a shared model, None where it has
    that model alone."""

    name: str
    run: FinishedRun
    adapter: str | None


@dataclass
class SharedModel:
    """A model with the runs that it answers for."""

    task: Task
    model: nn.Module
    served: list[Served] = field(default_factory=list)

    @torch.no_grad()
    def predict(self, asked: Sequence[tuple[Served, Any]]) -> list[Prediction]:
        """Return the answers of classifiers and regressions, all of them in one batch.

        Raises:
            InvalidInput: one of the inputs is none.
        """
        names = [served.adapter for served, _ in asked]
        given = iter(names)

        def forward(**inputs: Any) -> Any:
            rows = len(next(iter(inputs.values())))
            own = [next(given) for _ in range(rows)]
            return self.model(**inputs, **({"adapter_names": own} if own[0] else {}))

        task = cast(LabelledTask, self.task)
        self.model.eval()
        return task.predict([one for _, one in asked], forward)

    def write(self, asked: Sequence[Written], sampling: Sampling = GREEDY) -> Iterator[list[str | None]]:
        """Answers to prompts, token by token: the piece of text that each has more by then, None without one.

        What is written is in `asked`, which are in one batch; those that `end_at` have ended.

        Raises:
            InvalidInput: a prompt is too long.
        """
        task = cast(GenerationTask, self.task)
        batch = task.collate([{"input_ids": one.prompt_ids} for one in asked])
        names = [one.served.adapter for one in asked]
        pieces = [Pieces(lambda ids: task.tokenizer.decode(ids, skip_special_tokens=True)) for _ in asked]
        steps = tokens(
            task.model, batch, eos_token_id=task.end, max_new_tokens=max(one.most for one in asked),
            forward=self.model, sampling=sampling,
            adapter_names=cast(Sequence[str], names) if names[0] else None,
        )  # fmt: skip
        self.model.eval()
        for token, share in steps:
            yield [
                one.take(int(id), float(p), piece, task.end)
                for one, id, p, piece in zip(asked, token, share, pieces, strict=True)
            ]
            if all(one.reason for one in asked):
                return


@dataclass
class Written:
    """An answer as it is written: at most `most` tokens, up to the first text of `stops`.

    `reason` is why it has ended: "stop" or "length".
    """

    served: Served
    prompt_ids: list[int]
    most: int
    stops: Sequence[str] = ()
    text: str = ""
    tokens: int = 0
    reason: str | None = None

    def take(self, token: int, share: float, pieces: Pieces, end: int) -> str | None:
        """Take one more token; return the text that it adds, None where it adds none."""
        if self.reason:
            return None
        if token == end:
            self.reason = "stop"
            return None
        self.tokens += 1
        found = pieces.add(token, share)
        before, piece = self.text, found[0] if found else ""
        whole = before + piece
        cut = min((place for stop in self.stops if (place := whole.find(stop)) >= 0), default=None)
        if cut is not None:
            self.reason, whole = "stop", whole[: max(cut, len(before))]
        elif self.tokens >= self.most:
            self.reason = "length"
        self.text = whole
        return whole[len(before) :] or None


def serve_runs(runs: Sequence[FinishedRun], progress: Progress = silent) -> list[SharedModel]:
    """Load the runs in as few copies of their base models as can be.

    Raises:
        ResultsError: one of them cannot be loaded.
    """
    names = _names(runs)
    groups: dict[object, list[tuple[str, FinishedRun]]] = {}
    for place, (name, run) in enumerate(zip(names, runs, strict=True)):
        groups.setdefault(_sharing_key(run) or place, []).append((name, run))
    return [shared for group in groups.values() for shared in _loaded(group, progress)]


def _names(runs: Sequence[FinishedRun]) -> list[str]:
    """Return a name such as tickets-cdvft for each run; equal ones get the beginning of the run's id."""
    short = ["-".join(filter(None, map(slug, (run.record.name, run.record.method)))) for run in runs]
    return [
        name if short.count(name) == 1 else f"{name}-{run.record.id[:6]}"
        for name, run in zip(short, runs, strict=True)
    ]


def _sharing_key(run: FinishedRun) -> object:
    """Return a key that is equal for runs that can share a model; None for a run that cannot."""
    method = run.record.method
    if method not in MIXING:
        return None
    own, plan = run.plan.settings, run.plan
    of_labels = len(run.labels), plan.dataset.metric, plan.label_scale
    return method, plan.model, own.max_length, own.image_size, *of_labels


def _loaded(group: Sequence[tuple[str, FinishedRun]], progress: Progress) -> Iterator[SharedModel]:
    (name, first), *others = group
    task, model = load(first, progress)
    if others and isinstance(model, PeftModel) and _can_mix(model):
        shared = SharedModel(task, model, [Served(name, first, "default")])
        for other_name, run in others:
            try:
                model.load_adapter(str(run.folder), adapter_name=run.record.id)
            except (ValueError, RuntimeError, KeyError, OSError) as error:
                raise ResultsError(f"“{run.record.name}” cannot be loaded: {str(error)[:200]}") from error
            shared.served.append(Served(other_name, run, run.record.id))
        yield shared
        return
    yield SharedModel(task, _merged(model), [Served(name, first, None)])
    for one in others:
        yield from _loaded([one], progress)


def _can_mix(model: PeftModel) -> bool:
    """Return whether trained heads take a batch of rows with different adapters: PEFT's linear ones do."""
    heads = [one for one in model.modules() if isinstance(one, ModulesToSaveWrapper)]
    return all(isinstance(one.original_module, nn.Linear) for one in heads)


def _merged(model: nn.Module) -> nn.Module:
    return model.merge_and_unload() if isinstance(model, PeftModel) else model


def named(models: Sequence[SharedModel], name: str) -> tuple[SharedModel, Served]:
    """Return the model and run that a request calls `name`: as listed, or by the beginning of its id.

    Raises:
        KeyError: none is called so.
    """
    for matches in (
        lambda one: one.name == name,
        lambda one: len(name) >= 4 and one.run.record.id.startswith(name),
    ):
        found = [(shared, one) for shared in models for one in shared.served if matches(one)]
        if len(found) == 1:
            return found[0]
    raise KeyError(name)
