"""What can be asked of finished runs: answers, proof, exports, held-out rows; in a process of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cdvft_app.catalog.dataset_readers import Split
from cdvft_app.data.answered_file import ANSWERS, Answers
from cdvft_app.results import held_out, inputs
from cdvft_app.results.apply import Score
from cdvft_app.results.exporters import DEFAULT_RANK, Export, exporter
from cdvft_app.results.finished_run import FinishedRun, ResultsError, find
from cdvft_app.store import predictions
from cdvft_app.store.predictions import Predictions, WrittenAnswers
from cdvft_app.store.runs import RunStore
from cdvft_app.training.inference_service import Handler, InferenceService

MAX_RUNS = 6
ROWS_PER_PAGE = 10
ENDED = "The process that answers has ended, most likely for want of memory. Try fewer runs."


class Answering(InferenceService):
    """Asks one question of `Questions` at a time, in a process that keeps the models of the latest race.

    Only runs that `store` finds can be asked: those that the current visitor sees.
    """

    def __init__(
        self, store: RunStore, metering: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        super().__init__(_start, store.root, ResultsError, ENDED, metering)
        self._store = store

    def ask(self, question: str, **arguments: Any) -> Any:
        """Return the answer.

        Raises:
            UserError: with a sentence.
        """
        self._require(arguments)
        return super().ask(question, **arguments)

    def stream(self, question: str, **arguments: Any) -> Generator[Any, None, None]:
        """The items of an answer that comes piece by piece; else as for `ask`."""
        self._require(arguments)
        yield from super().stream(question, **arguments)

    def _require(self, arguments: dict[str, Any]) -> None:
        for run_id in [arguments["run_id"]] if "run_id" in arguments else arguments["run_ids"]:
            self._store.require(run_id)


def _start(root: Path, stopped: Callable[[], bool]) -> Handler:
    questions = Questions(RunStore(root), stopped)
    return lambda question, arguments: getattr(questions, question)(**arguments)


class Questions:
    """The questions that can be asked; keeps the models of the race that was asked last.

    `stopped()`: whether a stream should end now.
    """

    def __init__(self, store: RunStore, stopped: Callable[[], bool] = lambda: False) -> None:
        self._store, self._stopped = store, stopped
        self._examples, self._loaded, self._rows = _Latest(), _Latest(), _Latest()

    def answer(
        self, run_ids: Sequence[str], texts: Sequence[str], second: Sequence[str], image: bytes | None
    ) -> dict[str, Any]:
        """Return every run's answer for every input, and the frozen model's under the first one's head."""
        from cdvft_app.results.inference import FROZEN

        runs = [find(self._store, run_id) for run_id in run_ids[:MAX_RUNS]]
        checked = _checked_inputs(runs[0], texts, second, image)
        models = self._models(runs)
        note = "the pretrained model, given the same prompt"
        if models.task.head is not None:
            note = f"the pretrained model under the head of {runs[0].label}"
        names = {FROZEN: ("Frozen", note, "head")}
        names |= {run.record.id: (run.label, "", run.record.method) for run in runs}
        return {
            "labels": list(models.task.labels),
            "cut": models.task.too_long_by(checked),
            "sides": [
                {
                    "title": title,
                    "note": note,
                    "method": method,
                    "answers": [asdict(one) for one in models.answers(run_id, checked)],
                }
                for run_id, (title, note, method) in names.items()
            ],
        }

    def load(self, run_ids: Sequence[str]) -> None:
        """Make ready to answer, while somebody writes."""
        runs = [find(self._store, run_id) for run_id in run_ids[:MAX_RUNS]]
        self._models(runs)
        if runs[0].plan.model.kind == "generation":
            self._few_shot_examples(runs[0])

    def stream(
        self, run_ids: Sequence[str], prompt: str, temperature: float, length: int, seed: int
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield every run's answer to a prompt, and the untrained model's, as they are written."""
        from cdvft_app.results.inference import stream_answers
        from cdvft_app.tasks.writing import Sampling

        runs = [find(self._store, run_id) for run_id in run_ids[:MAX_RUNS]]
        checked, models = inputs.prompt(runs[0], prompt), self._models(runs)
        sampling = Sampling(temperature, seed)
        few_shot = self._few_shot_examples(runs[0])
        return stream_answers(
            models, runs, few_shot, checked, max_tokens=length, sampling=sampling, stopped=self._stopped
        )

    def _few_shot_examples(self, run: FinishedRun) -> list[tuple[str, str]]:
        from cdvft_app.results.inference import few_shot_examples

        return self._examples.value_of(run.record.id, lambda: few_shot_examples(run))

    def apply(
        self, run_id: str, folder: str, sha256: str, inputs: Sequence[str], label: str | None
    ) -> Iterator[int | Score | None]:
        """Answer the rows of a file that were read into a folder: how many have an answer, after each batch;
        and at the end, if it was not stopped, their score."""
        from cdvft_app.results import apply as applying

        run, columns = find(self._store, run_id), applying.Columns(tuple(inputs), label)
        answers = Answers(Path(folder) / ANSWERS, applying.about(run, sha256, columns))
        models = self._models([run])
        yield from applying.answer_rows(run, models, Path(folder), columns, answers, stopped=self._stopped)
        if not self._stopped():
            yield applying.score_of(run, models.task.labels, answers, sha256)

    def prove(
        self, run_id: str, texts: Sequence[str], second: Sequence[str], image: bytes | None
    ) -> dict[str, Any]:
        from cdvft_app.results.inference import prove

        run = find(self._store, run_id)
        return asdict(prove(run, _checked_inputs(run, texts, second, image)))

    def export(self, run_id: str, to: str, out: str, rank: int = DEFAULT_RANK) -> str:
        """Write what the exporter `to` makes; see `write_as_named`."""
        chosen, export = exporter(to), Export(self._store, find(self._store, run_id), rank)
        place = Path(out)
        try:
            chosen.write_as_named(export, place)
        except ResultsError as error:  # the page's reader knows no folders of this machine
            raise ResultsError(str(error).replace(out, place.name)) from error
        return out

    def rows(self, run_ids: Sequence[str], show: str, label: int | None, start: int) -> dict[str, Any]:
        """Return {"count", "rows"}: from `start` a page of held-out rows beside the runs' answers."""
        runs = [find(self._store, run_id) for run_id in run_ids[:2]]
        folders = [self._store.folder(run.record.id) for run in runs]
        kept = [found for folder in folders if (found := predictions.read_either(folder))]
        if len(kept) < len(runs):
            raise ResultsError("These runs keep no answers for their rows.")
        if not all(np.array_equal(one.rows, kept[0].rows) for one in kept):
            raise ResultsError("These two did not answer the same rows.")
        if written := [one for one in kept if isinstance(one, WrittenAnswers)]:
            return _written_page(written, show, start, runs[0])
        answers = [one for one in kept if isinstance(one, Predictions)]
        places = held_out.chosen(show, answers[0], answers[1] if len(answers) > 1 else None, label)
        page = places[start : start + ROWS_PER_PAGE]
        return {"count": len(places), "rows": held_out.table_rows(self._held_out(runs[0]), answers, page)}

    def example(self, run_id: str) -> dict[str, Any]:
        """Return a random held-out row; see `held_out.example`."""
        run = find(self._store, run_id)
        rows = self._held_out(run)
        return held_out.example(rows, run.labels, random.randrange(len(rows)))

    def evaluate(self, run_id: str, with_runs: Sequence[str]) -> int:
        """Answer the held-out rows for a run that kept no answers, and keep them; how many."""
        run = find(self._store, run_id)
        models = self._models([find(self._store, one) for one in with_runs[:MAX_RUNS]])
        folder = self._store.folder(run.record.id)
        if run.plan.model.kind == "generation":
            return held_out.answer_prompts(run, models, self._held_out(run), folder)
        return held_out.answer(run, models, self._held_out(run), folder)

    def _held_out(self, run: FinishedRun) -> Split:
        settings = run.plan.settings
        key = run.plan.dataset, settings.evaluation_examples, settings.evaluate_on
        return self._rows.value_of(key, lambda: held_out.load(run))

    def _models(self, runs: Sequence[FinishedRun]) -> Any:
        from cdvft_app.results.inference import load_side_by_side

        key = [(run.record.id, run.trained_at) for run in runs]
        return self._loaded.value_of(key, lambda: load_side_by_side(runs))


class _Latest:
    """The value of the key that was asked for last."""

    def __init__(self) -> None:
        self._key: object = None
        self._value: Any = None

    def value_of(self, key: object, make: Callable[[], Any]) -> Any:
        """Return the value of the key, made anew where another one was asked for last."""
        if self._key != key:
            self._key = self._value = None  # its memory is free before the next is made
            self._value = make()
            self._key = key
        return self._value


def _written_page(
    answers: Sequence[WrittenAnswers], show: str, start: int, run: FinishedRun
) -> dict[str, Any]:
    places = held_out.chosen_prompts(show, answers[0], answers[1] if len(answers) > 1 else None)
    page = places[start : start + ROWS_PER_PAGE]
    return {"count": len(places), "rows": held_out.prompt_rows(answers, page, run.plan.dataset)}


def _checked_inputs(
    run: FinishedRun, texts: Sequence[str], second: Sequence[str], image: bytes | None
) -> list[Any]:
    if image is not None:
        return [inputs.picture(run, image)]
    if run.plan.model.kind == "image" and not texts:
        raise ResultsError("Choose an image first.")
    return inputs.texts(run, texts, second)
