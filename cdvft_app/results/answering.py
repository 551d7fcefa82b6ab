"""Predictions, checks, exports and held-out rows of finished runs, in one child process."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cdvft_app.catalog.dataset_readers import Split
from cdvft_app.results import held_out, inputs
from cdvft_app.results.batch import BatchJob, Columns, Report
from cdvft_app.results.exporters import DEFAULT_RANK, Export, exporter
from cdvft_app.results.finished_run import FinishedRun, ResultsError, find
from cdvft_app.store import predictions
from cdvft_app.store.predictions import Predictions, WrittenAnswers
from cdvft_app.store.runs import RunStore
from cdvft_app.training.inference_service import Handler, InferenceService

MAX_RUNS = 6
ROWS_PER_PAGE = 10
ENDED = "The prediction process ended, probably for lack of memory. Try fewer runs."
PARTS = "predictions"
"""The folder of predictions beside the rows of a file."""
UNDER_HEAD = "base model with the head of {label}"
NOT_SAVED = "These runs saved no predictions of the held-out rows."
DIFFERENT_ROWS = "These runs were evaluated on different rows."
NO_IMAGE = "Choose an image first."


class Answering(InferenceService):
    """Calls one method of `Questions` at a time, in a process that keeps the models of the latest race.

    Only runs that the current visitor sees in `store` can be used.
    """

    def __init__(
        self, store: RunStore, metering: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        super().__init__(_start, store.root, ResultsError, ENDED, metering)
        self._store = store

    def ask(self, question: str, **arguments: Any) -> Any:
        """Return what the method returns.

        Raises:
            UserError: The method rejects the arguments.
        """
        self._require(arguments)
        return super().ask(question, **arguments)

    def stream(self, question: str, **arguments: Any) -> Generator[Any, None, None]:
        """Yield what the method yields; else as `ask`."""
        self._require(arguments)
        yield from super().stream(question, **arguments)

    def _require(self, arguments: dict[str, Any]) -> None:
        for run_id in [arguments["run_id"]] if "run_id" in arguments else arguments["run_ids"]:
            self._store.require(run_id)


def _start(root: Path, stopped: Callable[[], bool]) -> Handler:
    questions = Questions(RunStore(root), stopped)
    return lambda question, arguments: getattr(questions, question)(**arguments)


class Questions:
    """The methods of the process. `stopped()` tells whether a stream is to end now."""

    def __init__(self, store: RunStore, stopped: Callable[[], bool] = lambda: False) -> None:
        self._store, self._stopped = store, stopped
        self._loaded, self._rows = _Latest(), _Latest()

    def answer(
        self, run_ids: Sequence[str], texts: Sequence[str], second: Sequence[str], image: bytes | None
    ) -> dict[str, Any]:
        """Return every run's prediction for every input, and the base model's under the first one's head."""
        from cdvft_app.results.predictor import FROZEN, SAME_PROMPT

        runs = self._find(run_ids)
        checked = _checked_inputs(runs[0], texts, second, image)
        models = self._models(runs)
        note = SAME_PROMPT if models.task.head is None else UNDER_HEAD.format(label=runs[0].label)
        sides = [(FROZEN, "Base", note, "head")]
        sides += [(run.record.id, run.label, "", run.record.method) for run in runs]
        return {
            "labels": list(models.task.labels),
            "cut": models.task.too_long_by(checked),
            "sides": [
                {
                    "title": title,
                    "note": note,
                    "method": method,
                    "answers": [asdict(one) for one in models.predict(run_id, checked)],
                }
                for run_id, title, note, method in sides
            ],
        }

    def load(self, run_ids: Sequence[str]) -> None:
        """Load the models before they are needed."""
        self._models(self._find(run_ids))

    def stream(
        self, run_ids: Sequence[str], prompt: str, temperature: float, length: int, seed: int
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield every run's text for a prompt, and the base model's, as they are generated."""
        from cdvft_app.results.predictor import stream_side_by_side
        from cdvft_app.tasks.writing import Sampling

        runs = self._find(run_ids)
        checked, models = inputs.prompt(runs[0], prompt), self._models(runs)
        return stream_side_by_side(
            models, runs, checked, max_tokens=length,
            sampling=Sampling(temperature, seed), stopped=self._stopped,
        )  # fmt: skip

    def apply(
        self, run_id: str, folder: str, sha256: str, inputs: Sequence[str], label: str | None
    ) -> Iterator[int | Report]:
        """Predict the rows in a folder: yield how many are done, and at the end the report."""
        run = find(self._store, run_id)
        job = BatchJob(run, Path(folder), sha256, Columns(tuple(inputs), label), Path(folder) / PARTS)
        models = self._models([run])
        yield from job.predict(models, self._stopped)
        if not self._stopped():
            yield job.report(models.task.labels)

    def prove(
        self, run_id: str, texts: Sequence[str], second: Sequence[str], image: bytes | None
    ) -> dict[str, Any]:
        """Return the checks of an adapter."""
        from cdvft_app.results.checks import check_adapter

        run = find(self._store, run_id)
        return asdict(check_adapter(run, _checked_inputs(run, texts, second, image)))

    def export(self, run_id: str, to: str, out: str, rank: int = DEFAULT_RANK) -> str:
        """Write what the exporter `to` makes; see `write_as_named`."""
        chosen, export = exporter(to), Export(self._store, find(self._store, run_id), rank)
        place = Path(out)
        try:
            chosen.write_as_named(export, place)
        except ResultsError as error:  # the page shows no folders of this machine
            raise ResultsError(str(error).replace(out, place.name)) from error
        return out

    def rows(self, run_ids: Sequence[str], show: str, label: int | None, start: int) -> dict[str, Any]:
        """Return {"count", "rows"}: a page of held-out rows with the runs' predictions, from `start` on."""
        runs = self._find(run_ids[:2])
        folders = [self._store.folder(run.record.id) for run in runs]
        saved = [found for folder in folders if (found := predictions.read_either(folder))]
        if len(saved) < len(runs):
            raise ResultsError(NOT_SAVED)
        if not all(np.array_equal(one.rows, saved[0].rows) for one in saved):
            raise ResultsError(DIFFERENT_ROWS)
        if written := [one for one in saved if isinstance(one, WrittenAnswers)]:
            places = held_out.chosen_prompts(show, *written)
            page = places[start : start + ROWS_PER_PAGE]
            rows = held_out.prompt_rows(written, page, runs[0].plan.dataset)
        else:
            labelled = [one for one in saved if isinstance(one, Predictions)]
            places = held_out.chosen(show, labelled[0], labelled[1] if len(labelled) > 1 else None, label)
            page = places[start : start + ROWS_PER_PAGE]
            rows = held_out.table_rows(self._held_out(runs[0]), labelled, page)
        return {"count": len(places), "rows": rows}

    def example(self, run_id: str) -> dict[str, Any]:
        """Return a random held-out row; see `held_out.example`."""
        run = find(self._store, run_id)
        rows = self._held_out(run)
        return held_out.example(rows, run.labels, random.randrange(len(rows)))

    def evaluate(self, run_id: str, with_runs: Sequence[str]) -> int:
        """Predict the held-out rows of a run that saved no predictions; return how many."""
        run = find(self._store, run_id)
        return held_out.predict(
            run, self._models(self._find(with_runs)), self._held_out(run), self._store.folder(run.record.id)
        )

    def _find(self, run_ids: Sequence[str]) -> list[FinishedRun]:
        return [find(self._store, run_id) for run_id in run_ids[:MAX_RUNS]]

    def _held_out(self, run: FinishedRun) -> Split:
        settings = run.plan.settings
        key = run.plan.dataset, settings.evaluation_examples, settings.evaluate_on
        return self._rows.value_of(key, lambda: held_out.load(run))

    def _models(self, runs: Sequence[FinishedRun]) -> Any:
        from cdvft_app.results.predictor import Predictor

        key = [(run.record.id, run.trained_at) for run in runs]
        return self._loaded.value_of(key, lambda: Predictor.load(runs))


class _Latest:
    """The value of the latest key."""

    def __init__(self) -> None:
        self._key: object = None
        self._value: Any = None

    def value_of(self, key: object, make: Callable[[], Any]) -> Any:
        """Return the value of the key, made if another key came last."""
        if self._key != key:
            self._key = self._value = None  # frees its memory before the next is made
            self._value = make()
            self._key = key
        return self._value


def _checked_inputs(
    run: FinishedRun, texts: Sequence[str], second: Sequence[str], image: bytes | None
) -> list[Any]:
    if image is not None:
        return [inputs.picture(run, image)]
    if run.plan.model.kind == "image" and not texts:
        raise ResultsError(NO_IMAGE)
    return inputs.texts(run, texts, second)
