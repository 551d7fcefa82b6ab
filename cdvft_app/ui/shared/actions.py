"""The actions of buttons, and which are possible now. A refusal is a sentence, not an exception."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cdvft_app import catalog
from cdvft_app.catalog import Plan
from cdvft_app.catalog.hub import pin_dataset_commit
from cdvft_app.catalog.sources import require_in_reach
from cdvft_app.data.library import require_own
from cdvft_app.errors import UserError
from cdvft_app.payloads.shared import Done, GroupRequest
from cdvft_app.prediction import admit, admit_again
from cdvft_app.settings import RaceRequest, RunSettings
from cdvft_app.shapes.hub_models import describe_chosen_model
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import RESUMABLE, UNFINISHED
from cdvft_app.ui.logs import visitor_hash
from cdvft_app.ui.shared.form import race, with_titles
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.viewing import visitor

FOLLOW_JOB = "This HF Job is no longer followed. Run `cdvft resume {}` to get its results."
STOP_JOB = "Stop cancels the HF Job. Its unsaved training is lost."
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Buttons:
    stop: bool
    resume: bool
    reason: str


def submit(
    app: AppState, request: RaceRequest, token: str, *, program: bool = False, private: bool = False
) -> list[str]:
    """Queue a race whose every run can be, of a person or a program; the ids in the order of its methods.

    Nobody but the owner sees a race that is `private`.

    Raises:
        InvalidChoice, QueueFull, StoreError: with a sentence.
    """
    plans = plans_of(app, request, token)
    forecasts = forecasts_of(app, plans)
    chosen = [plan.settings for plan in plans]
    counted_for = visitor()
    run_ids = app.queue.submit(
        chosen,
        token,
        plans[0].title,
        forecasts=forecasts,
        program=program,
        private=private,
        visitor=counted_for,
    )
    for run_id in run_ids:
        log.info("A run was queued.", extra={"run_id": run_id, "visitor": visitor_hash(counted_for)})
    return run_ids


def plans_of(app: AppState, request: RaceRequest, token: str) -> list[Plan]:
    """Return the plans of a race's runs, in the order of its methods, which can be had by the token's owner.

    Raises:
        InvalidChoice, StoreError: with a sentence.
    """
    request = pin_dataset_commit(request)
    return plans_of_runs(app, request, request.runs(), token)


def plans_of_runs(app: AppState, base: RaceRequest, runs: Sequence[RunSettings], token: str) -> list[Plan]:
    """Return the same for runs that vary the race `base`, whose dataset's commit is pinned."""
    if not base.target_modules:
        describe_chosen_model(base.model, base.recipe)
    plans = [catalog.resolve(settings) for settings in runs]
    require_available(app, plans[0], token)
    return plans


def require_available(app: AppState, plan: Plan, token: str) -> None:
    """Raise a `UserError` unless the token's owner may use the plan's data, and its model can be had."""
    require_own(app.store, plan.settings.data, token)
    require_in_reach([plan.model, plan.dataset])


def forecasts_of(app: AppState, plans: Sequence[Plan]) -> list[dict[str, Any] | None]:
    """Return the forecast of each plan, as far as it can be made.

    Raises:
        InvalidChoice: it does not fit here; with a sentence.
    """
    predictions = app.predict(plans)
    admit(zip(plans, predictions, strict=True), app.queue.max_seconds)
    return [made.as_json() if made else None for made in predictions]


def start(app: AppState, values: Mapping[str, Any], token: str) -> tuple[list[str], str | None]:
    """Return the new runs' ids, or none and why not."""
    try:
        return submit(app, race(values), token), None
    except UserError as error:
        return [], with_titles(str(error))


def stop(app: AppState, ids: Sequence[str], token: str) -> str | None:
    """Stop those of the shown runs that wait or train; None, or why it was refused."""
    # From the last to the first: else the worker would take the next one while its turn comes.
    runs = _acted_on(app.store, ids, token)
    return _each(reversed([run.id for run in runs if run.state in UNFINISHED]), token, app.queue.stop)


def resume(app: AppState, ids: Sequence[str], token: str) -> str | None:
    """Queue those of the shown runs that ended early; None, or why it was refused."""
    runs = _acted_on(app.store, ids, token)
    again = partial(resume_one, app)
    return _each([run.id for run in runs if run.is_resumable], token, again)


def resume_one(app: AppState, run_id: str, token: str) -> None:
    """Queue a run again that ended early, if it can be trained here.

    Raises:
        InvalidChoice, QueueFull, StoreError: with a sentence.
    """
    run = app.store.require_owner(run_id, token)
    plan = catalog.resolve(run.settings)
    require_available(app, plan, token)
    admit_again(run, plan, app.store, app.queue.max_seconds)
    app.queue.resume(run_id, token, visitor())


def runs_of_group(app: AppState, group_id: object) -> list[RunRecord]:
    """Return the runs of a sweep or a search; none where it is neither."""
    return [run for run in app.store.group(group_id) if run.sweep]


def act_on_group(
    app: AppState,
    request: GroupRequest,
    choose: Callable[[list[RunRecord]], Iterable[RunRecord]],
    act: Callable[[str, str], None],
) -> Done:
    """Act on those runs of the request's group that are chosen of its runs."""
    token, runs = request.get("token"), runs_of_group(app, request["group"])
    if not runs or token is None:
        return {
            "error": "There is no such sweep or search, or the request carries no token; reload the page."
        }
    return {"error": _each([run.id for run in choose(runs)], token, act)}


def buttons(store: RunStore, ids: Sequence[str], token: str) -> Buttons:
    """Return which buttons can act on the shown runs, and a sentence on what they do or why none can."""
    runs = _acted_on(store, ids, token)
    if not runs:
        return Buttons(False, False, "")
    busy = [run for run in runs if run.state in UNFINISHED]
    ended_early = [run for run in runs if run.is_resumable]
    if (busy or ended_early) and not store.owner(runs[0].id, token):
        what = "stopped" if busy else "resumed"
        return Buttons(False, False, f"Only the browser that started this race can have it {what}.")
    if busy:
        if any(run.state == "stopping" for run in busy):
            return Buttons(
                False,
                False,
                "Stopping: at most two more steps, then a last evaluation, and the adapter is saved.",
            )
        if any(run.is_job for run in busy):
            return Buttons(True, bool(ended_early), STOP_JOB)
        again = (
            f"Resume takes up {store.label_of(ended_early[0])} again."
            if ended_early
            else "Resume then goes on from there."
        )
        return Buttons(True, bool(ended_early), f"Stop keeps the adapter. {again}")
    if ended_early:
        again = store.label_of(ended_early[0])
        return Buttons(
            False, True, f"This race does not train. Resume goes on with {again} from where it ended."
        )
    if defect := next((run.defect for run in runs if run.defect), None):
        return Buttons(False, False, defect)
    if left := next((run for run in runs if run.is_left_job), None):
        return Buttons(False, False, FOLLOW_JOB.format(left.id))
    if any(run.is_job and run.state in RESUMABLE for run in runs):
        return Buttons(False, False, "An HF Job cannot be resumed. Send it again.")
    return Buttons(False, False, "")


def _known(store: RunStore, ids: Sequence[str]) -> list[RunRecord]:
    return [run for run in map(store.get, ids) if run is not None]


def _acted_on(store: RunStore, ids: Sequence[str], token: str) -> list[RunRecord]:
    """Return the visitor's own of the shown runs; where none is, all of them, which are then refused.

    A race of somebody else's that is laid over one's own is neither stopped nor resumed with it.
    """
    runs = _known(store, ids)
    return [run for run in runs if store.owner(run.id, token)] or runs


def _each(ids: Iterable[str], token: str, act: Callable[[str, str], None]) -> str | None:
    for run_id in ids:
        try:
            act(run_id, token)
        except UserError as error:
            return with_titles(str(error))
    return None
