"""Finished runs, asked from the page: in a process that holds the latest race, and goes when idle."""

from __future__ import annotations

import os
import random
import traceback
from collections.abc import Callable, Sequence
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
        for run_id in [about["run_id"]] if "run_id" in about else about["run_ids"]:
            if recorded.get(run_id) is None and self._store.get(run_id) is None:
                raise UnknownRun(no_run(run_id))
        with self._counted():
            return self._answer(question, about)

    def _answer(self, question: str, about: dict[str, Any]) -> Any:
        if self._talk is None or not self._talk.alive():
            self._talk = Conversation(_serve, str(self._store.root), IDLE_SECONDS)
        try:
            fine, said = self._talk.ask((question, about), PATIENCE)
        except (EOFError, OSError):
            self._talk = None
            raise ResultsError(
                "The process that answers has ended, most likely for want of memory. Try fewer runs."
            ) from None
        if not fine:
            raise ResultsError(said)
        return said

    def close(self) -> None:
        if self._talk is not None:
            self._talk.end()


def _serve(words: Connection, root: str, idle: float) -> None:
    """Answer until nobody has asked for `idle` seconds."""
    os.environ["RUNS_DIR"] = root  # data of one's own lies there
    asked = _Asked(RunStore(root))
    while words.poll(idle):
        question, about = words.recv()
        try:
            words.send((True, getattr(asked, question)(**about)))
        except (ResultsError, StoreError) as error:
            words.send((False, str(error)))
        except Exception as error:  # the next question can be another one
            traceback.print_exc()
            words.send((False, _why(error)))


class _Asked:
    """What can be asked; holds the models of the race that was asked last."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
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
        self._models([find(self._store, run_id) for run_id in run_ids[:MOST_RUNS]])

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
