"""A search in the store: a group of runs, and beside the history Optuna's studies of them, one a method.

Each trial is a run of the queue. `advance` tells the study how the latest one ended and queues the next;
`Pruning` reports a run's validation loss at each evaluation, and stops the run that Optuna's pruner gives up.
A run that somebody stopped, or that was interrupted, keeps its trial open: the search waits until the run is
resumed. The journal is all that a search needs beside its runs, so that any process can take it up.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from cdvft_app.catalog import resolve
from cdvft_app.events import Evaluation, Event, Note, Started
from cdvft_app.search import SearchRequest
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import RunRecord, StoreError, possible_id
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.storages import JournalStorage
    from optuna.trial import FrozenTrial, Trial

FOLDER = "searches"  # in the store's folder: a journal of Optuna's a search, named by its group
RUN, PRUNED = "run", "pruned_at"  # what is noted of a trial: its run's id; the step at which it was given up
LOCK, ENDED = ".advancing", ".ended"  # beside the journal: who advances it; that each budget was spent
BEGINNING_SECONDS = 60.0  # within which a new search's first run comes into the history
RANDOM_TRIALS = 4
WARM_UP_TRIALS = 3  # none is pruned against fewer


@dataclass(frozen=True)
class Search:
    """One search: what was asked for, and a study for each method, in their order.

    The value of a trial is the loss on the validation rows at its end, which is to be low.
    """

    group_id: str
    title: str
    request: SearchRequest
    studies: Sequence[Study]
    storage: JournalStorage

    def trials(self, index: int) -> list[FrozenTrial]:
        """Return the trials of the method at this index, in the order in which they were proposed."""
        return self.studies[index].get_trials(deepcopy=False)

    def runs(self, index: int, runs: Mapping[str, RunRecord]) -> list[RunRecord]:
        """Return those of the group's runs, by id, that are trials of the method at this index."""
        ids = (one.user_attrs.get(RUN, "") for one in self.trials(index))
        return [runs[run_id] for run_id in ids if run_id in runs]

    def trial_id(self, index: int, number: int) -> int:
        """Return the id by which Optuna's storage knows a trial, whichever process asked for it."""
        study_id = self.storage.get_study_id_from_name(str(index))
        return self.storage.get_trial_id_from_study_id_trial_number(study_id, number)

    def best(self, index: int) -> FrozenTrial | None:
        """Return the completed trial with the lowest validation loss; None before there is one."""
        from optuna.trial import TrialState

        done = [one for one in self.trials(index) if one.state == TrialState.COMPLETE]
        return min(done, key=lambda one: one.value or 0.0, default=None)


def path(store: RunStore, group_id: object) -> Path | None:
    """Return the journal of a group's search; None where the group is none."""
    known = possible_id(group_id)
    found = store.root / FOLDER / f"{known}.journal"
    return found if known and found.is_file() else None


def groups(store: RunStore) -> list[str]:
    """Return the groups of all searches in the store."""
    return sorted(file.stem for file in (store.root / FOLDER).glob("*.journal"))


def load(store: RunStore, group_id: object) -> Search | None:
    """Return the search of a group as it is now; None where the group is none.

    Raises:
        StoreError: its journal cannot be read.
    """
    file = path(store, group_id)
    if file is None:
        return None
    try:
        storage = _storage(file)
        noted = next(one.user_attrs for one in storage.get_all_studies() if one.study_name == "0")
        request = SearchRequest.model_validate(noted["request"])
        studies = [_study(storage, request, index) for index in range(len(request.base.methods))]
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise StoreError(f"The search {file.name} cannot be read: {error or 'it is not whole'}.") from error
    return Search(file.stem, noted["title"], request, studies, storage)


def begin(
    store: RunStore,
    request: SearchRequest,
    token: str | None,
    title: str,
    *,
    visitor: str | None = None,
    process: str | None = None,
    forecast: Mapping[str, Any] | None = None,
) -> RunRecord:
    """Make a search and its first run, which is queued, or with `process` trained by it at once.

    Raises:
        InvalidChoice, StoreError: with a sentence.
    """
    group_id = secrets.token_hex(16)
    file = store.root / FOLDER / f"{group_id}.journal"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        storage = _storage(file)
        first = _study(storage, request, 0)
        first.set_user_attr("title", title)
        first.set_user_attr("request", request.model_dump(mode="json"))
        for index in range(1, len(request.base.methods)):
            _study(storage, request, index)
        search = load(store, group_id)
        assert search is not None
        with FileLock(f"{file}{LOCK}"):  # another program that finds the run finds its trial, too
            trial = _ask(search, 0)
            settings = resolve(request.propose(0, trial)).settings
            (run,) = store.create(
                [settings], token, title, process, [forecast], sweep=True, group_id=group_id, visitor=visitor,
                private=request.base.data is not None,
            )  # fmt: skip
            trial.set_user_attr(RUN, run.id)
    except OSError as error:
        raise StoreError(f"The search cannot be kept: {error.strerror or error}.") from error
    return run


def advance(store: RunStore, group_id: str, process: str | None = None) -> RunRecord | None:
    """Tell how runs ended, and make the next one: queued, or with `process` trained by it at once.

    That a search has ended is noted beside its journal, which is then read no more: a store keeps many, and
    each takes Optuna its time.

    Returns:
        The new run; None where the group is no search, a run of it goes on or waits to be resumed, or every
        method has had its budget.
    """
    file = path(store, group_id)
    if file is None:
        return None
    with FileLock(f"{file}{LOCK}"):
        runs = {run.id: run for run in store.group(group_id)}
        if not runs:
            if time.time() - file.stat().st_mtime > BEGINNING_SECONDS:
                _forget(file)
            return None
        ended = Path(f"{file}{ENDED}")
        if ended.exists():
            return None
        search = load(store, group_id)
        assert search is not None
        if not tell(store, search, runs):
            return None
        index = _next_index(search)
        if index is None:
            ended.touch()
            return None
        trial = _ask(search, index)
        settings = resolve(search.request.propose(index, trial)).settings
        run = store.add_to_group(next(iter(runs)), settings, process)
        trial.set_user_attr(RUN, run.id)
        return run


def _forget(file: Path) -> None:
    """Remove a journal whose runs were deleted, with what Optuna and `advance` lock it by."""
    for one in file.parent.glob(f"{file.name}*"):
        if not one.name.endswith(LOCK):  # which is held
            one.unlink(missing_ok=True)


def tell(store: RunStore, search: Search, runs: Mapping[str, RunRecord]) -> bool:
    """Tell the studies of all runs that have ended; whether none goes on or waits to be resumed.

    A run that failed is told as pruned without any loss, which samplers take to be worse than all others:
    most often its learning rate made the loss grow without bound.
    """
    from optuna.trial import TrialState

    settled = True
    for index, study in enumerate(search.studies):
        for trial in search.trials(index):
            if trial.state != TrialState.RUNNING:
                continue
            run = runs.get(trial.user_attrs.get(RUN, ""))
            loss = None if run is None else final_loss(store, run)
            if run is None:
                _tell(study, trial.number, state=TrialState.FAIL)  # it was deleted
            elif run.state == "finished" and loss is not None:
                _tell(study, trial.number, loss)
            elif run.state == "failed" or (PRUNED in trial.user_attrs and run.state in FINAL):
                _tell(study, trial.number, state=TrialState.PRUNED)
            else:
                settled = False
    return settled


def _tell(study: Study, number: int, loss: float | None = None, **how: Any) -> None:
    with suppress(RuntimeError):  # at a grid's end its sampler stops a loop that there is not; it is told
        study.tell(number, loss, **how)


def final_loss(store: RunStore, run: RunRecord) -> float | None:
    """Return the loss on the validation rows at a run's end."""
    rows, _ = store.rows(run.id, kinds=["evaluation"])
    return next((row["loss"] for row in reversed(rows) if row.get("final")), None)


def _next_index(search: Search) -> int | None:
    """Return the method with the fewest trials of those that have budget left; None where none has."""
    tried = {index: len(search.trials(index)) for index in range(len(search.studies))}
    left = [index for index, most in enumerate(search.request.budgets()) if tried[index] < most]
    return min(left, key=tried.__getitem__, default=None)


def is_given_up(search: Search, run_id: str) -> bool:
    """Return whether the pruner stopped this run."""
    trials = (one for index in range(len(search.studies)) for one in search.trials(index))
    return any(PRUNED in one.user_attrs and one.user_attrs.get(RUN) == run_id for one in trials)


def cut_off(search: Search, runs: Iterable[RunRecord]) -> list[RunRecord]:
    """Return the runs that were stopped or interrupted, and not given up by the search, which waits for
    them."""
    early = [run for run in runs if run.is_resumable and run.state != "failed"]
    return [run for run in early if not is_given_up(search, run.id)]


class Pruning:
    """Reports a run's validation loss to its study, and says whether the run is to stop.

    None does in the first half of its steps: what is behind there, such as a low rate, may end ahead. Does
    nothing for a run of no search.
    """

    def __init__(self, store: RunStore, run: RunRecord) -> None:
        self._trial: Trial | None = None
        self.is_pruned = False
        self._total_steps = 0
        search = None
        with suppress(StoreError):  # a run without its search is trained to its end
            search = load(store, run.group_id) if run.sweep else None
        if search is None or search.request.grid:
            return
        from optuna.trial import Trial, TrialState

        for index, study in enumerate(search.studies):
            for one in search.trials(index):
                if one.user_attrs.get(RUN) == run.id and one.state == TrialState.RUNNING:
                    self._trial = Trial(study, search.trial_id(index, one.number))

    def see(self, event: Event) -> Note | None:
        """Take an event; a note for the run's owner where it is given up by it."""
        if isinstance(event, Started):
            self._total_steps = event.total_steps
        if self._trial is None or not isinstance(event, Evaluation) or event.final:
            return None
        self._trial.report(event.loss, event.step)
        if 2 * event.step < self._total_steps or not self._trial.should_prune():
            return None
        self._trial.set_user_attr(PRUNED, event.step)
        self.is_pruned = True
        return Note(
            f"Given up after step {event.step}: its validation loss {event.loss:.4g} is behind what other "
            "trials of this search had by then."
        )


# Optuna, which is loaded when the first search is looked at


def _storage(file: Path) -> JournalStorage:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it tells of every trial
    lock = JournalFileOpenLock(str(file))  # Windows makes symbolic links, its usual one, for few
    return JournalStorage(JournalFileBackend(str(file), lock))


def _study(storage: JournalStorage, request: SearchRequest, index: int) -> Study:
    import optuna
    from optuna.pruners import MedianPruner

    return optuna.create_study(
        storage=storage,
        study_name=str(index),
        direction="minimize",
        load_if_exists=True,
        sampler=_sampler(request, index, 0),
        pruner=MedianPruner(n_startup_trials=WARM_UP_TRIALS),
    )


def _ask(search: Search, index: int) -> Trial:
    """Return the next trial of the method at this index."""
    study = search.studies[index]
    study.sampler = _sampler(search.request, index, len(search.trials(index)))
    return study.ask()


def _sampler(request: SearchRequest, index: int, told: int) -> BaseSampler:
    """Seeded by the race's seed, the method and the number of trials: a process that takes the search up
    proposes what the one before would have."""
    from numpy.random import SeedSequence
    from optuna.samplers import GridSampler, TPESampler

    if request.grid:
        return GridSampler(request.space(index), seed=request.base.seed)
    (seed,) = SeedSequence((request.base.seed, index, told)).generate_state(1)
    return TPESampler(n_startup_trials=RANDOM_TRIALS, multivariate=True, seed=int(seed))


def best_runs(store: RunStore, search: Search) -> list[RunSettings]:
    """Return the settings for a race of each method's best trial: trained on all rows, scored on evaluation
    rows."""
    runs = {run.id: run for run in store.group(search.group_id)}
    found = (search.best(index) for index in range(len(search.studies)))
    kept = [runs[one.user_attrs[RUN]] for one in found if one is not None and one.user_attrs[RUN] in runs]
    return [run.settings.model_copy(update={"evaluate_on": "evaluation"}) for run in kept]
