"""Finished runs, asked from the page: in a process that holds the latest race, and goes when idle."""

from __future__ import annotations

import os
import random
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cdvft_app.catalog.rows import Split
from cdvft_app.results import held_out, inputs, recorded
from cdvft_app.results.errors import ResultsError, no_room
from cdvft_app.results.finished_run import FinishedRun, find
from cdvft_app.store import predictions
from cdvft_app.store.identifiers import no_run
from cdvft_app.store.records import StoreError, UnknownRun
from cdvft_app.store.runs import RunStore
from cdvft_app.training.children import Connection, Conversation

IDLE_SECONDS = 300.0
PATIENCE = 180.0  # for one question: the first one loads libraries and the model, which may be fetched
MOST_RUNS = 6
ROWS_A_PAGE = 10
STOP = "stop"
MOST_ANSWERED = 1024  # held-out rows, where a run kept no answers: what fits into PATIENCE


class Answering:
    """Takes one question at a time; whoever asks from several threads must wait their turn.

    Only runs that `store` finds are asked: those that the visitor of the moment sees. `counted` holds while
    a question is answered; what it raises is raised before.
    """

    def __init__(
        self, store: RunStore, counted: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        self._store = store
        self._counted = counted
        self._talk: Conversation | None = None

    def ask(self, question: str, **about: Any) -> Any:
        """The answer of the function `_QUESTIONS[question]`, or its refusal.

        Raises:
            ResultsError, StoreError: with a sentence.
        """
        self._require(about)
        with self._counted():
            return self._answer(question, about)

    def _answer(self, question: str, about: dict[str, Any]) -> Any:
        self._say((question, about))
        kind, said = self._hear()
        if kind == "refused":
            raise ResultsError(said)
        return said

    def stream(self, question: str, **about: Any) -> Generator[Any, None, None]:
        """The items that the function `question` yields, as they come; closing it ends that.

        Raises:
            ResultsError, StoreError: with a sentence.
        """
        self._require(about)
        with self._counted():
            self._say((question, about))
            kind = ""
            try:
                while (heard := self._hear())[0] == "item":
                    yield heard[1]
                kind, said = heard
                if kind == "refused":
                    raise ResultsError(said)
            finally:
                if not kind and self._talk is not None:  # closed early: the next question waits for its end
                    self._say(STOP)
                    while self._hear()[0] == "item":
                        pass

    def stop(self) -> None:
        """Let what is streamed come to its end now; where nothing is, nothing happens."""
        if self._talk is not None and self._talk.alive():
            self._say(STOP)

    def _require(self, about: dict[str, Any]) -> None:
        for run_id in [about["run_id"]] if "run_id" in about else about["run_ids"]:
            if recorded.get(run_id) is None and self._store.get(run_id) is None:
                raise UnknownRun(no_run(run_id))

    def _say(self, words: Any) -> None:
        if self._talk is None or not self._talk.alive():
            self._talk = Conversation(_serve, str(self._store.root), IDLE_SECONDS)
        try:
            self._talk.say(words)
        except OSError:
            raise self._gone() from None

    def _hear(self) -> tuple[str, Any]:
        assert self._talk is not None
        try:
            return self._talk.hear(PATIENCE)
        except (EOFError, OSError):
            raise self._gone() from None

    def _gone(self) -> ResultsError:
        self._talk = None
        return ResultsError(
            "The process that answers has ended, most likely for want of memory. Try fewer runs."
        )

    def close(self) -> None:
        if self._talk is not None:
            self._talk.end()


def _serve(words: Connection, root: str, idle: float) -> None:
    """Answer until nobody has asked for `idle` seconds: ("answer" or "refused", what).

    What is streamed comes before as ("item", one); whatever is heard meanwhile says that it should end.
    """
    os.environ["RUNS_DIR"] = root  # data of one's own lies there
    asked = _Asked(RunStore(root), words.poll)
    while words.poll(idle):
        heard = words.recv()
        if heard == STOP:  # it came too late
            continue
        question, about = heard
        try:
            said = getattr(asked, question)(**about)
            if isinstance(said, Iterator):
                for item in said:
                    words.send(("item", item))
                said = None
            words.send(("answer", said))
        except (ResultsError, StoreError) as error:
            words.send(("refused", str(error)))
        except Exception as error:  # the next question can be another one
            traceback.print_exc()
            words.send(("refused", _why(error)))


class _Asked:
    """What can be asked; holds the models of the race that was asked last.

    `stopped` says whether what is streamed should end.
    """

    def __init__(self, store: RunStore, stopped: Callable[[], bool] = lambda: False) -> None:
        self._store, self._stopped = store, stopped
        self._examples: tuple[str, list[tuple[str, str]]] | None = None
        self._held: tuple[tuple[str, ...], Any] | None = None
        self._rows: tuple[object, Split] | None = None

    def answer(
        self, run_ids: Sequence[str], texts: Sequence[str], second: Sequence[str], image: bytes | None
    ) -> dict[str, Any]:
        """Every run's answer for every input, and the frozen model's under the first one's head."""
        from cdvft_app.results.side_by_side import FROZEN

        runs = [find(self._store, run_id) for run_id in run_ids[:MOST_RUNS]]
        given = _given(runs[0], texts, second, image)
        models = self._models(runs)
        note = "the pretrained model, told the same"
        if models.task.head is not None:
            note = f"the pretrained model under the head of {runs[0].label}"
        names = {FROZEN: ("Frozen", note, "head")}
        names |= {run.record.id: (run.label, "", run.record.method) for run in runs}
        return {
            "labels": list(models.task.labels),
            "sides": [
                {
                    "title": title,
                    "note": note,
                    "method": method,
                    "answers": [asdict(one) for one in models.answers(run_id, given)],
                }
                for run_id, (title, note, method) in names.items()
            ],
        }

    def load(self, run_ids: Sequence[str]) -> None:
        """Make ready to answer, while somebody writes."""
        runs = [find(self._store, run_id) for run_id in run_ids[:MOST_RUNS]]
        self._models(runs)
        if runs[0].plan.model.kind == "generation":
            self._shown(runs[0])

    def stream(
        self, run_ids: Sequence[str], prompt: str, temperature: float, length: int, seed: int
    ) -> Iterator[list[dict[str, Any]]]:
        """Every run's answer to a prompt, and the untrained model's, as they are written."""
        from cdvft_app.results.writing import write
        from cdvft_app.tasks.writing import Sampling

        runs = [find(self._store, run_id) for run_id in run_ids[:MOST_RUNS]]
        checked, models = inputs.prompt(runs[0], prompt), self._models(runs)
        sampling = Sampling(temperature, seed)
        shown = self._shown(runs[0])
        return write(models, runs, shown, checked, most=length, sampling=sampling, stopped=self._stopped)

    def _shown(self, run: FinishedRun) -> list[tuple[str, str]]:
        from cdvft_app.results.writing import examples_of

        if self._examples is None or self._examples[0] != run.record.id:
            self._examples = run.record.id, examples_of(run)
        return self._examples[1]

    def prove(
        self, run_id: str, texts: Sequence[str], second: Sequence[str], image: bytes | None
    ) -> dict[str, Any]:
        from cdvft_app.results.proof import prove

        run = find(self._store, run_id)
        return asdict(prove(run, _given(run, texts, second, image)))

    def export(self, run_id: str, form: str, rank: int, out: str) -> str:
        """Write a zip."""
        from cdvft_app.results.export import Export, write_zip
        from cdvft_app.results.script import zip_script

        run = find(self._store, run_id)
        if form in ("script", "notebook"):
            zip_script(run, form == "notebook", Path(out))
        else:
            write_zip(self._store, Export(run, form, rank), Path(out))  # type: ignore[arg-type]
        return out

    def write(self, run_id: str, out: str) -> None:
        """Write a folder with the run as it was trained."""
        from cdvft_app.results.export import Export, write_folder

        write_folder(self._store, Export(find(self._store, run_id), "adapter"), Path(out))

    def rows(self, run_ids: Sequence[str], show: str, label: int | None, start: int) -> dict[str, Any]:
        """Held-out rows beside the answers of one run or two, a page from `start`; {"count", "rows"}."""
        runs = [find(self._store, run_id) for run_id in run_ids[:2]]
        folders = [held_out.folder(self._store, run) for run in runs]
        answers = [kept for folder in folders if (kept := predictions.read(folder))]
        if len(answers) < len(runs):
            raise ResultsError("These runs keep no answers for their rows.")
        if not all(np.array_equal(one.rows, answers[0].rows) for one in answers):
            raise ResultsError("These two did not answer the same rows.")
        places = held_out.chosen(show, answers[0], answers[1] if len(answers) > 1 else None, label)
        page = places[start : start + ROWS_A_PAGE]
        return {"count": len(places), "rows": held_out.told(self._held_out(runs[0]), answers, page)}

    def example(self, run_id: str) -> dict[str, Any]:
        """Any of the held-out rows; see `held_out.example`."""
        run = find(self._store, run_id)
        rows = self._held_out(run)
        return held_out.example(rows, run.labels, random.randrange(len(rows)))

    def evaluate(self, run_id: str, with_runs: Sequence[str]) -> int:
        """Answer the held-out rows for a run that kept no answers, and keep them; how many."""
        run = find(self._store, run_id)
        models = self._models([find(self._store, one) for one in with_runs[:MOST_RUNS]])
        folder = held_out.folder(self._store, run)
        return held_out.answer(run, models, self._held_out(run), folder, MOST_ANSWERED)

    def _held_out(self, run: FinishedRun) -> Split:
        key = run.plan.dataset, run.plan.settings.evaluation_examples
        if self._rows is None or self._rows[0] != key:
            self._rows = key, held_out.load(run)
        return self._rows[1]

    def _models(self, runs: Sequence[FinishedRun]) -> Any:
        from cdvft_app.results.side_by_side import load

        key = tuple(run.record.id for run in runs)
        if self._held is None or self._held[0] != key:
            self._held = None  # its memory is free before the next is loaded
            self._held = key, load(runs)
        return self._held[1]


def _given(run: FinishedRun, texts: Sequence[str], second: Sequence[str], image: bytes | None) -> list[Any]:
    if image is not None:
        return [inputs.picture(run, image)]
    if run.plan.model.kind == "image" and not texts:
        raise ResultsError("Choose an image first.")
    return inputs.texts(run, texts, second)


def _why(error: Exception) -> str:
    """What a failure that nobody foresaw is called, in a sentence."""
    if no_room(error):
        return "There is no room left on this disk; free some space and try again."
    said = " ".join(str(error).split())[:300] or "no message"
    return f"It failed unexpectedly with {type(error).__name__}: {said}"
